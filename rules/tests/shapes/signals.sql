-- Rules over what other rules say, in strata. The first shapes are read by the others.

-- shape: calls
-- key: call_event_id
-- proves: at once; runtime by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, session_id, event_id AS call_event_id, tool FROM runtime WHERE kind = 'tool_call'

-- shape: revocations
-- key: revocation_event_id
-- proves: at once; identity by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, session_id, event_id AS revocation_event_id FROM identity WHERE kind = 'token_revoked'

-- shape: unattended sign-ins
-- key: login_event_id
-- proves: waits for runtime 5m-1us (NOT EXISTS waits until no `runtime r` can come any more); identity i by tenant, principal 0..0 needs 1; runtime r by tenant, principal 0..5m-1us
SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id, i.country FROM identity i
WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
  AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')

-- shape: bursts
-- key: principal, bucket
-- proves: at once; runtime by tenant, principal -10m-1us..10m-1us needs 2
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, count(*) AS n,
       array_agg(event_id) AS call_event_ids
FROM runtime WHERE principal IS NOT NULL GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= 2

-- shape: followed later
-- key: login_event_id
-- proves: at once; identity i by tenant, principal -2m..-2m needs 1; runtime r by tenant, principal -1m..4m needs 1
SELECT i.event_time + INTERVAL '2 minutes' AS event_time, i.tenant, i.principal, i.event_id AS login_event_id, r.event_id AS call_event_id
FROM identity i JOIN runtime r ON r.tenant = i.tenant AND r.principal = i.principal
 AND r.event_time BETWEEN i.event_time + INTERVAL '1 minute' AND i.event_time + INTERVAL '6 minutes'
WHERE i.kind = 'authentication'

-- shape: said early
-- key: login_event_id
-- emit: early
-- proves: waits for runtime 5m (NOT EXISTS waits until no `runtime r` can come any more); identity i by tenant, principal 0..0 needs 1; runtime r by tenant, principal 1us..5m
SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
WHERE i.kind = 'risk_changed' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
  AND r.event_time > i.event_time AND r.event_time <= i.event_time + INTERVAL '5 minutes')

-- shape: two signals
-- key: call, revocation
-- proves: at once; signals c by tenant, principal -10m..10m needs 1; signals v by tenant, principal -10m..0 needs 1; warns W045
SELECT c.event_time, c.tenant, c.principal, json_text(c.key, '$.call_event_id') AS call, v.signal_id AS revocation
FROM signals c JOIN signals v ON v.tenant = c.tenant AND v.principal = c.principal
 AND c.event_time BETWEEN v.event_time AND v.event_time + INTERVAL '10 minutes'
WHERE c.rule = 'calls' AND v.rule = 'revocations'

-- shape: signals beside runtime
-- key: r_event_id, login
-- proves: at once; runtime r by tenant, principal 0..0 needs 1; signals s by tenant, principal -20m..-5m needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, s.signal_id AS login
FROM runtime r JOIN signals s ON s.tenant = r.tenant AND s.principal = r.principal
 AND r.event_time BETWEEN s.event_time + INTERVAL '5 minutes' AND s.event_time + INTERVAL '20 minutes'
WHERE s.rule = 'unattended-sign-ins' AND r.kind = 'tool_call'

-- shape: signals beside identity, with details
-- key: i_event_id, burst
-- proves: at once; identity i by tenant, principal 0..0 needs 1; signals s by tenant, principal -10m..3m needs 1
SELECT i.event_time, i.tenant, i.principal, i.event_id AS i_event_id, s.signal_id AS burst, json_text(s.details, '$.n') AS n,
       s.evidence AS burst_event_ids
FROM identity i JOIN signals s ON s.tenant = i.tenant AND s.principal = i.principal
 AND s.event_time BETWEEN i.event_time - INTERVAL '10 minutes' AND i.event_time + INTERVAL '3 minutes'
WHERE s.rule = 'bursts'

-- shape: several rules of one principal
-- key: principal, bucket
-- proves: at once; signals by tenant, principal -15m-1us..15m-1us needs 3; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '15 minutes', event_time) AS bucket,
       count(DISTINCT rule) AS rules, array_agg(signal_id) AS signals
FROM signals WHERE rule IN ('calls', 'revocations', 'unattended-sign-ins', 'bursts', 'followed-later') AND principal IS NOT NULL
GROUP BY tenant, principal, date_bin(INTERVAL '15 minutes', event_time) HAVING count(DISTINCT rule) >= 3

-- shape: either of two rules
-- key: signal_id
-- proves: at once; signals by tenant, signal_id 0..0 needs 1; warns W045
SELECT event_time, tenant, principal, signal_id, plane, severity, rule FROM signals
WHERE (rule = 'revocations' OR rule = 'unattended-sign-ins') AND principal = 'p1'

-- shape: no signal after
-- key: call
-- proves: waits for identity 8m-1us (NOT EXISTS waits until no `signals v` can come any more); signals c by tenant, principal 0..0 needs 1; signals v by tenant, principal 0..8m-1us; warns W045
SELECT c.event_time, c.tenant, c.principal, c.signal_id AS call FROM signals c
WHERE c.rule = 'calls' AND NOT EXISTS (SELECT 1 FROM signals v WHERE v.rule = 'revocations' AND v.tenant = c.tenant AND v.principal = c.principal
  AND v.event_time >= c.event_time AND v.event_time < c.event_time + INTERVAL '8 minutes')

-- shape: no unattended sign-in before
-- key: r_event_id
-- proves: waits for runtime 5m-1us and identity 0 (NOT EXISTS waits until no `signals s` can come any more); runtime r by tenant, principal 0..0 needs 1; signals s by tenant, principal -30m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.rule = 'unattended-sign-ins' AND s.tenant = r.tenant
  AND s.principal = r.principal AND s.event_time BETWEEN r.event_time - INTERVAL '30 minutes' AND r.event_time)

-- shape: no burst around
-- key: i_event_id
-- proves: waits for runtime 15m-1us (NOT EXISTS waits until no `signals s` can come any more); identity i by tenant, principal 0..0 needs 1; signals s by tenant, principal -5m..5m
SELECT i.event_time, i.tenant, i.principal, i.event_id AS i_event_id FROM identity i
WHERE i.kind = 'risk_changed' AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.rule = 'bursts' AND s.tenant = i.tenant
  AND s.principal = i.principal AND s.event_time BETWEEN i.event_time - INTERVAL '5 minutes' AND i.event_time + INTERVAL '5 minutes')

-- shape: of what is said early only what stays
-- key: login
-- proves: at once; signals by tenant, signal_id 0..0 needs 1; warns W045
SELECT event_time, tenant, principal, signal_id AS login FROM signals WHERE rule = 'said-early'

-- shape: the signal before, of another rule
-- key: signal_id
-- proves: waits for runtime 4m and identity 0 (`lag` over a window depends on rows that may still come in between); signals by tenant, principal -10m..0 needs 1; warns W045
SELECT event_time, tenant, principal, signal_id, rule, previous FROM (
  SELECT event_time, tenant, principal, signal_id, rule,
         lag(rule) OVER (PARTITION BY tenant, principal ORDER BY event_time, signal_id) AS previous,
         lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time, signal_id) AS previous_time
  FROM signals WHERE rule IN ('calls', 'revocations', 'followed-later') AND principal IS NOT NULL)
WHERE rule <> previous AND event_time - previous_time <= INTERVAL '10 minutes'

-- shape: left join of signals
-- key: r_event_id, burst
-- proves: waits for runtime 10m-1us (an outer join waits until no `signals s` can come any more); runtime r by tenant, principal 0..0 needs 1; signals s by tenant, principal -5m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, s.signal_id AS burst, s.details
FROM runtime r LEFT JOIN signals s ON s.rule = 'bursts' AND s.tenant = r.tenant AND s.principal = r.principal
 AND s.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time
WHERE r.kind = 'guardrail'

-- shape: a third stratum
-- key: call
-- proves: at once; signals s by tenant, principal 0..0 needs 1; signals t by tenant, principal -20m..20m needs 1; warns W045
SELECT s.event_time, s.tenant, s.principal, s.signal_id AS call FROM signals s
WHERE s.rule = 'no-signal-after' AND EXISTS (SELECT 1 FROM signals t WHERE t.rule IN ('several-rules-of-one-principal', 'bursts')
  AND t.tenant = s.tenant AND t.principal = s.principal
  AND t.event_time BETWEEN s.event_time - INTERVAL '20 minutes' AND s.event_time + INTERVAL '20 minutes')

-- shape: a fourth stratum, by what is absent
-- key: r_event_id
-- proves: waits for runtime 2699999998us and identity 35m-1us (NOT EXISTS waits until no `signals s` can come any more); runtime r by tenant, principal 0..0 needs 1; signals s by tenant, principal -10m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r
WHERE r.kind = 'prompt' AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.rule = 'a-third-stratum' AND s.tenant = r.tenant
  AND s.principal = r.principal AND s.event_time BETWEEN r.event_time - INTERVAL '10 minutes' AND r.event_time)

-- shape: signals that page nobody yet
-- key: signal_id
-- proves: at once; signals by tenant, signal_id, principal 0..0; identity by tenant, event_id, principal 0..0; warns W045
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'calls'
UNION ALL
SELECT event_time, tenant, principal, event_id FROM identity WHERE kind = 'risk_changed'

-- shape: signals of every rule
-- key: signal_id
-- refuses: 1:54: W054: `signals` doesn't say whose signals it reads: they have to be there before this rule is; name the rules, such as `signals.rule = 'x'` or `signals.rule IN ('x', 'y')`, not under OR
SELECT event_time, tenant, principal, signal_id FROM signals WHERE severity = 'critical'

-- shape: an OR that leaves the rules open
-- key: signal_id
-- refuses: 1:62: W054: `signals s` doesn't say whose signals it reads: they have to be there before this rule is; name the rules, such as `s.rule = 'x'` or `s.rule IN ('x', 'y')`, not under OR
SELECT s.event_time, s.tenant, s.principal, s.signal_id FROM signals s WHERE s.rule = 'calls' OR s.severity = 'high'

-- shape: rules by pattern
-- key: signal_id
-- refuses: 1:54: W054: `signals` doesn't say whose signals it reads: they have to be there before this rule is; name the rules, such as `signals.rule = 'x'` or `signals.rule IN ('x', 'y')`, not under OR
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule LIKE 'call%' AND rule <> 'bursts'

-- shape: one scan of two without its rules
-- key: signal_id
-- refuses: 1:77: W054: `signals v` doesn't say whose signals it reads: they have to be there before this rule is; name the rules, such as `v.rule = 'x'` or `v.rule IN ('x', 'y')`, not under OR
SELECT c.event_time, c.tenant, c.principal, c.signal_id FROM signals c JOIN signals v ON v.tenant = c.tenant AND v.principal = c.principal
 AND c.event_time BETWEEN v.event_time AND v.event_time + INTERVAL '10 minutes'
WHERE c.rule = 'calls'

-- shape: a rule that isn't there
-- key: signal_id
-- refuses: 1:75: W055: there is no rule `cals` whose signals could be read; name a rule that is loaded with this one: lint and check look at a whole directory
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'cals'

-- shape: its own signals
-- key: signal_id
-- refuses: 1:86: W056: the rule reads its own signals; read those of another rule; what its own SQL finds can stand in a query of WITH
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule IN ('calls', 'its-own-signals')

-- shape: one of two that read each other
-- key: signal_id
-- refuses: 1:75: W056: signals can't rest on themselves: `one-of-two-that-read-each-other` reads `the-other-of-two` reads `one-of-two-that-read-each-other`; let one of them read `runtime` or `identity` instead, or put what they share into a rule of its own that both read
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'the-other-of-two'

-- shape: the other of two
-- key: signal_id
-- refuses: 1:75: W056: signals can't rest on themselves: `the-other-of-two` reads `one-of-two-that-read-each-other` reads `the-other-of-two`; let one of them read `runtime` or `identity` instead, or put what they share into a rule of its own that both read
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'one-of-two-that-read-each-other'

-- shape: of a rule that is refused
-- key: signal_id
-- refuses: 1:75: W055: the rule `its-own-signals` is refused, so that it has no signals to read; correct that rule first
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'its-own-signals'

-- shape: signals without a bound
-- key: r_event_id
-- refuses: 2:6: W050: rule signals-without-a-bound never forgets `signals s`; bound it, e.g. `r.event_time BETWEEN s.event_time AND s.event_time + INTERVAL '1 hour'`
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r
JOIN signals s ON s.tenant = r.tenant AND s.principal = r.principal WHERE s.rule = 'revocations'

-- shape: a key of signals that determines no moment
-- key: principal, rule
-- refuses: 1:37: W043: the key determines neither an event nor a time bucket, so its findings would have to be remembered for ever; add an event's id to the key, or a bucket such as `date_bin(INTERVAL '15 minutes', event_time) AS bucket`
SELECT DISTINCT event_time, tenant, principal, rule FROM signals WHERE rule IN ('calls', 'revocations')

-- shape: not in signals
-- key: r_event_id
-- proves: waits for identity 0 (NOT EXISTS waits until no `signals s` can come any more); runtime r by tenant 0..0 needs 1; signals s by tenant -10m..0; warns W052
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND r.principal NOT IN (SELECT s.principal FROM signals s WHERE s.rule = 'revocations' AND s.tenant = r.tenant
  AND s.event_time BETWEEN r.event_time - INTERVAL '10 minutes' AND r.event_time)
