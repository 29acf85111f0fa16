-- What is new, rare, or somebody else's.

-- shape: first seen in thirty days
-- key: e_event_id
-- proves: waits for identity -1us (NOT EXISTS waits until no `identity a` can come any more); identity b by tenant, principal, country 0..0 needs 1; identity a by tenant, principal, country -43200m..-1us
SELECT b.event_time, b.tenant, b.principal, b.country, b.event_id AS e_event_id FROM identity b
WHERE b.kind = 'authentication' AND b.country IS NOT NULL AND NOT EXISTS (SELECT 1 FROM identity a WHERE a.tenant = b.tenant AND a.principal = b.principal
  AND a.kind = 'authentication' AND a.country = b.country AND a.event_time >= b.event_time - INTERVAL '30 days' AND a.event_time < b.event_time)

-- shape: first use of a tool, then
-- key: e_event_id
-- proves: waits for runtime -1us (NOT EXISTS waits until no `runtime a` can come any more); runtime r by tenant, session_id 0..0 needs 1; runtime n by tenant, session_id 0..5m needs 1; runtime a by tenant, session_id -10m..-1us
SELECT r.event_time, r.tenant, r.principal, r.tool, r.event_id AS e_event_id, n.event_id AS next_event_id
FROM runtime r JOIN runtime n ON n.tenant = r.tenant AND n.session_id = r.session_id AND n.kind = 'guardrail'
 AND n.event_time BETWEEN r.event_time AND r.event_time + INTERVAL '5 minutes'
WHERE r.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM runtime a WHERE a.tenant = r.tenant AND a.session_id = r.session_id
  AND a.tool = r.tool AND a.kind = 'tool_call' AND a.event_time >= r.event_time - INTERVAL '10 minutes' AND a.event_time < r.event_time)

-- shape: new to everybody
-- key: e_event_id
-- proves: waits for runtime -1us (NOT EXISTS waits until no `runtime a` can come any more); runtime b by tenant, tool 0..0 needs 1; runtime a by tenant, tool -6m..-1us
SELECT b.event_time, b.tenant, b.principal, b.tool, b.event_id AS e_event_id FROM runtime b
WHERE b.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM runtime a WHERE a.tenant = b.tenant AND a.tool = b.tool
  AND a.event_time >= b.event_time - INTERVAL '6 minutes' AND a.event_time < b.event_time)

-- shape: seen by few others
-- key: e_event_id
-- proves: waits for identity 0 (an outer join waits until no `identity o` can come any more); identity b by tenant, country 0..0 needs 1; identity o by tenant, country -8m..-1us
SELECT b.event_time, b.tenant, b.principal, b.country, b.event_id AS e_event_id, count(DISTINCT o.principal) AS others
FROM identity b LEFT JOIN identity o ON o.tenant = b.tenant AND o.country = b.country AND o.principal <> b.principal
 AND o.event_time >= b.event_time - INTERVAL '8 minutes' AND o.event_time < b.event_time
WHERE b.kind = 'authentication' GROUP BY b.tenant, b.principal, b.country, b.event_time, b.event_id HAVING count(DISTINCT o.principal) < 1

-- shape: seen by many others
-- key: e_event_id
-- proves: at once; identity b by tenant, country 0..0 needs 1; identity o by tenant, country -8m..0 needs 1
SELECT b.event_time, b.tenant, b.principal, b.ip, b.event_id AS e_event_id, count(DISTINCT o.principal) AS others
FROM identity b JOIN identity o ON o.tenant = b.tenant AND o.country = b.country AND o.principal <> b.principal
 AND o.event_time >= b.event_time - INTERVAL '8 minutes' AND o.event_time <= b.event_time
WHERE b.kind = 'authentication' GROUP BY b.tenant, b.principal, b.ip, b.event_time, b.event_id HAVING count(DISTINCT o.principal) >= 1

-- shape: one address, many principals
-- key: ip, bucket
-- proves: at once; identity by tenant, ip -10m-1us..10m-1us needs 2; warns W045; warns W044
SELECT max(event_time) AS event_time, tenant, min(principal) AS principal, ip, date_bin(INTERVAL '10 minutes', event_time) AS bucket, count(DISTINCT principal) AS principals
FROM identity GROUP BY tenant, ip, date_bin(INTERVAL '10 minutes', event_time) HAVING count(DISTINCT principal) >= 2

-- shape: more than the hour before
-- key: principal, bucket
-- proves: waits for runtime 5m-1us (the join condition `c.n > b.n` can become false again while rows arrive); runtime by tenant, principal 0..5m-1us needs 1; runtime by tenant, principal -5m..-1us needs 1; warns W045
WITH counted AS (
  SELECT tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, count(*) AS n
  FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time))
SELECT c.bucket AS event_time, c.tenant, c.principal, c.bucket, c.n, b.n AS before
FROM counted c JOIN counted b ON b.tenant = c.tenant AND b.principal = c.principal AND b.bucket = c.bucket - INTERVAL '5 minutes'
WHERE c.n > b.n

-- shape: silence after activity
-- key: e_event_id
-- proves: waits for runtime 4m (NOT EXISTS waits until no `runtime b` can come any more); runtime a by tenant, session_id 0..0 needs 1; runtime b by tenant, session_id 1us..4m
SELECT a.event_time, a.tenant, a.session_id, a.event_id AS e_event_id FROM runtime a
WHERE a.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM runtime b WHERE b.tenant = a.tenant AND b.session_id = a.session_id
  AND b.event_time > a.event_time AND b.event_time <= a.event_time + INTERVAL '4 minutes')

-- shape: first seen ever
-- key: e_event_id
-- refuses: 2:33: W050: rule first-seen-ever never forgets `identity a`; bound it, e.g. `b.event_time BETWEEN a.event_time AND a.event_time + INTERVAL '1 hour'`
SELECT b.event_time, b.tenant, b.principal, b.event_id AS e_event_id FROM identity b
WHERE NOT EXISTS (SELECT 1 FROM identity a WHERE a.tenant = b.tenant AND a.principal = b.principal AND a.country = b.country AND a.event_time < b.event_time)

-- shape: every country once
-- key: principal, country
-- refuses: 1:37: W043: the key determines neither an event nor a time bucket, so its findings would have to be remembered for ever; add an event's id to the key, or a bucket such as `date_bin(INTERVAL '15 minutes', event_time) AS bucket`
SELECT DISTINCT event_time, tenant, principal, country FROM identity
