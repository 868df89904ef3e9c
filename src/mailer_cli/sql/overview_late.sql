-- What is late: the oldest that is due and not sent, of windows and of retries.
SELECT *
FROM (
    (
        SELECT 'window' AS kind, w.mailing_id AS mailing, w.zone,
               greatest(w.sendable_from, m.activated_at) AS due_at
        FROM mailing_window w
        JOIN mailing m ON m.id = w.mailing_id
        WHERE w.state IN ('planned', 'open')
          AND w.sendable_from <= now()
          AND w.sendable_until > now()
          AND m.state = 'active'
          AND coalesce(w.audience, 1) > w.claimed
        ORDER BY due_at
        LIMIT 1
    )
    UNION ALL
    (
        SELECT 'retry', m.id, NULL, r.retry_at
        FROM mailing m
        CROSS JOIN generate_series(0, 15) AS shard (number)
        CROSS JOIN LATERAL (
            SELECT retry_at
            FROM retry
            WHERE shard = shard.number AND mailing_id = m.id AND retry_at <= now()
            ORDER BY retry_at
            LIMIT 1
        ) AS r
        WHERE m.finished_at IS NULL AND m.state = 'active'
        ORDER BY r.retry_at
        LIMIT 1
    )
) AS due
ORDER BY due_at
LIMIT 1
