FROM python:3.13-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 mailer

WORKDIR /opt/mailer
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir .

ENV PATH="/opt/mailer/.venv/bin:$PATH"
USER mailer
WORKDIR /home/mailer
ENTRYPOINT ["tini", "--", "mailer"]
CMD ["--help"]
