-- Rules over what other rules say, in strata. The first shapes are read by the others.

-- shape: calls
-- key: call_event_id
-- proves: 
SELECT event_time, tenant, principal, session_id, event_id AS call_event_id, tool FROM runtime WHERE kind = 'tool_call'

-- shape: revocations
-- key: revocation_event_id
-- proves: 
SELECT event_time, tenant, principal, session_id, event_id AS revocation_event_id FROM identity WHERE kind = 'token_revoked'

-- shape: unattended sign-ins
-- key: login_event_id
-- proves: 
SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id, i.country FROM identity i
WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
  AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')

-- shape: bursts
-- key: principal, bucket
-- proves: 
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, count(*) AS n,
       array_agg(event_id) AS call_event_ids
FROM runtime WHERE principal IS NOT NULL GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= 2

-- shape: followed later
-- key: login_event_id
-- proves: 
SELECT i.event_time + INTERVAL '2 minutes' AS event_time, i.tenant, i.principal, i.event_id AS login_event_id, r.event_id AS call_event_id
FROM identity i JOIN runtime r ON r.tenant = i.tenant AND r.principal = i.principal
 AND r.event_time BETWEEN i.event_time + INTERVAL '1 minute' AND i.event_time + INTERVAL '6 minutes'
WHERE i.kind = 'authentication'

-- shape: said early
-- key: login_event_id
-- emit: early
-- proves: 
SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
WHERE i.kind = 'risk_changed' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
  AND r.event_time > i.event_time AND r.event_time <= i.event_time + INTERVAL '5 minutes')

-- shape: two signals
-- key: call, revocation
-- proves: 
SELECT c.event_time, c.tenant, c.principal, json_text(c.key, '$.call_event_id') AS call, v.signal_id AS revocation
FROM signals c JOIN signals v ON v.tenant = c.tenant AND v.principal = c.principal
 AND c.event_time BETWEEN v.event_time AND v.event_time + INTERVAL '10 minutes'
WHERE c.rule = 'calls' AND v.rule = 'revocations'

-- shape: signals beside runtime
-- key: r_event_id, login
-- proves: 
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, s.signal_id AS login
FROM runtime r JOIN signals s ON s.tenant = r.tenant AND s.principal = r.principal
 AND r.event_time BETWEEN s.event_time + INTERVAL '5 minutes' AND s.event_time + INTERVAL '20 minutes'
WHERE s.rule = 'unattended-sign-ins' AND r.kind = 'tool_call'

-- shape: signals beside identity, with details
-- key: i_event_id, burst
-- proves: 
SELECT i.event_time, i.tenant, i.principal, i.event_id AS i_event_id, s.signal_id AS burst, json_text(s.details, '$.n') AS n,
       s.evidence AS burst_event_ids
FROM identity i JOIN signals s ON s.tenant = i.tenant AND s.principal = i.principal
 AND s.event_time BETWEEN i.event_time - INTERVAL '10 minutes' AND i.event_time + INTERVAL '3 minutes'
WHERE s.rule = 'bursts'

-- shape: several rules of one principal
-- key: principal, bucket
-- proves: 
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '15 minutes', event_time) AS bucket,
       count(DISTINCT rule) AS rules, array_agg(signal_id) AS signals
FROM signals WHERE rule IN ('calls', 'revocations', 'unattended-sign-ins', 'bursts', 'followed-later') AND principal IS NOT NULL
GROUP BY tenant, principal, date_bin(INTERVAL '15 minutes', event_time) HAVING count(DISTINCT rule) >= 3

-- shape: either of two rules
-- key: signal_id
-- proves: 
SELECT event_time, tenant, principal, signal_id, plane, severity, rule FROM signals
WHERE (rule = 'revocations' OR rule = 'unattended-sign-ins') AND principal = 'p1'

-- shape: no signal after
-- key: call
-- proves: 
SELECT c.event_time, c.tenant, c.principal, c.signal_id AS call FROM signals c
WHERE c.rule = 'calls' AND NOT EXISTS (SELECT 1 FROM signals v WHERE v.rule = 'revocations' AND v.tenant = c.tenant AND v.principal = c.principal
  AND v.event_time >= c.event_time AND v.event_time < c.event_time + INTERVAL '8 minutes')

-- shape: no unattended sign-in before
-- key: r_event_id
-- proves: 
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.rule = 'unattended-sign-ins' AND s.tenant = r.tenant
  AND s.principal = r.principal AND s.event_time BETWEEN r.event_time - INTERVAL '30 minutes' AND r.event_time)

-- shape: no burst around
-- key: i_event_id
-- proves: 
SELECT i.event_time, i.tenant, i.principal, i.event_id AS i_event_id FROM identity i
WHERE i.kind = 'risk_changed' AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.rule = 'bursts' AND s.tenant = i.tenant
  AND s.principal = i.principal AND s.event_time BETWEEN i.event_time - INTERVAL '5 minutes' AND i.event_time + INTERVAL '5 minutes')

-- shape: of what is said early only what stays
-- key: login
-- proves: 
SELECT event_time, tenant, principal, signal_id AS login FROM signals WHERE rule = 'said-early'

-- shape: the signal before, of another rule
-- key: signal_id
-- proves: 
SELECT event_time, tenant, principal, signal_id, rule, previous FROM (
  SELECT event_time, tenant, principal, signal_id, rule,
         lag(rule) OVER (PARTITION BY tenant, principal ORDER BY event_time, signal_id) AS previous,
         lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time, signal_id) AS previous_time
  FROM signals WHERE rule IN ('calls', 'revocations', 'followed-later') AND principal IS NOT NULL)
WHERE rule <> previous AND event_time - previous_time <= INTERVAL '10 minutes'

-- shape: left join of signals
-- key: r_event_id, burst
-- proves: 
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, s.signal_id AS burst, s.details
FROM runtime r LEFT JOIN signals s ON s.rule = 'bursts' AND s.tenant = r.tenant AND s.principal = r.principal
 AND s.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time
WHERE r.kind = 'guardrail'

-- shape: a third stratum
-- key: call
-- proves: 
SELECT s.event_time, s.tenant, s.principal, s.signal_id AS call FROM signals s
WHERE s.rule = 'no-signal-after' AND EXISTS (SELECT 1 FROM signals t WHERE t.rule IN ('several-rules-of-one-principal', 'bursts')
  AND t.tenant = s.tenant AND t.principal = s.principal
  AND t.event_time BETWEEN s.event_time - INTERVAL '20 minutes' AND s.event_time + INTERVAL '20 minutes')

-- shape: a fourth stratum, by what is absent
-- key: r_event_id
-- proves: 
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r
WHERE r.kind = 'prompt' AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.rule = 'a-third-stratum' AND s.tenant = r.tenant
  AND s.principal = r.principal AND s.event_time BETWEEN r.event_time - INTERVAL '10 minutes' AND r.event_time)

-- shape: signals that page nobody yet
-- key: signal_id
-- proves: 
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'calls'
UNION ALL
SELECT event_time, tenant, principal, event_id FROM identity WHERE kind = 'risk_changed'

-- shape: signals of every rule
-- key: signal_id
-- refuses: 
SELECT event_time, tenant, principal, signal_id FROM signals WHERE severity = 'critical'

-- shape: an OR that leaves the rules open
-- key: signal_id
-- refuses: 
SELECT s.event_time, s.tenant, s.principal, s.signal_id FROM signals s WHERE s.rule = 'calls' OR s.severity = 'high'

-- shape: rules by pattern
-- key: signal_id
-- refuses: 
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule LIKE 'call%' AND rule <> 'bursts'

-- shape: one scan of two without its rules
-- key: signal_id
-- refuses: 
SELECT c.event_time, c.tenant, c.principal, c.signal_id FROM signals c JOIN signals v ON v.tenant = c.tenant AND v.principal = c.principal
 AND c.event_time BETWEEN v.event_time AND v.event_time + INTERVAL '10 minutes'
WHERE c.rule = 'calls'

-- shape: a rule that isn't there
-- key: signal_id
-- refuses: 
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'cals'

-- shape: its own signals
-- key: signal_id
-- refuses: 
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule IN ('calls', 'its-own-signals')

-- shape: one of two that read each other
-- key: signal_id
-- refuses: 
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'the-other-of-two'

-- shape: the other of two
-- key: signal_id
-- refuses: 
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'one-of-two-that-read-each-other'

-- shape: of a rule that is refused
-- key: signal_id
-- refuses: 
SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'its-own-signals'

-- shape: signals without a bound
-- key: r_event_id
-- refuses: 
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r
JOIN signals s ON s.tenant = r.tenant AND s.principal = r.principal WHERE s.rule = 'revocations'

-- shape: a key of signals that determines no moment
-- key: principal, rule
-- refuses: 
SELECT DISTINCT event_time, tenant, principal, rule FROM signals WHERE rule IN ('calls', 'revocations')

-- shape: not in signals
-- key: r_event_id
-- proves: 
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND r.principal NOT IN (SELECT s.principal FROM signals s WHERE s.rule = 'revocations' AND s.tenant = r.tenant
  AND s.event_time BETWEEN r.event_time - INTERVAL '10 minutes' AND r.event_time)
