-- A file is sorted and joined as a whole: with the 4 MB of a default server that would go through its disk.
-- For this transaction only, and never less than the server is set to.
SELECT set_config('work_mem', '64MB', true)
WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB')
