-- Compiling a report's statements takes longer than running them (measured: 1.2 of 2.3 seconds, on a
-- million clients). For this transaction only.
SELECT set_config('jit', 'off', true)
