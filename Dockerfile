# The image of docker-compose.yml. The tag names one release; to be sure of its very bytes, pin the digest too:
#   docker buildx imagetools inspect python:3.13.14-slim-bookworm   then   …-bookworm@sha256:…
ARG PYTHON=python:3.13.14-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
# Without pip in it: what is copied on holds what runs, compiled, and nothing that installs.
RUN python -m venv --without-pip /opt/mailer \
    && pip --python /opt/mailer/bin/python install --no-cache-dir --compile /wheels/*.whl

FROM ${PYTHON}
# tini hands signals on as the first process must, and buries whoever is left behind.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends "tini=0.19.*" \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 mailer \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin mailer
COPY --from=build /opt/mailer /opt/mailer
ENV PATH="/opt/mailer/bin:$PATH"
USER 10001:10001
WORKDIR /home/mailer
ENTRYPOINT ["tini", "--", "mailer"]
CMD ["--help"]
