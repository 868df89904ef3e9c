-- A reason given for all sending may name somebody who complained.
UPDATE service
SET hold_reason = regexp_replace(hold_reason, %(pattern)s, 'erased', 'g'),
    block_reason = regexp_replace(block_reason, %(pattern)s, 'erased', 'g'),
    break_reason = regexp_replace(break_reason, %(pattern)s, 'erased', 'g')
WHERE id = 1 AND concat_ws(' ', hold_reason, block_reason, break_reason) ~ %(pattern)s
