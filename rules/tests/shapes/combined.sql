-- Several of the others at once.

-- shape: a burst in a sliding bucket and no logout after it
-- key: principal, bucket
-- proves: waits for identity 10m (NOT EXISTS waits until no `identity i` can come any more); runtime by tenant, principal 0..6m-1us needs 2; identity i by tenant, principal 0..10m
WITH bursts AS (
  SELECT tenant, principal, bucket, min(event_time) AS first_time, max(event_time) AS last_time, count(*) AS n, array_agg(event_id) AS call_event_ids
  FROM (SELECT event_time, tenant, principal, event_id, unnest(hop(event_time, INTERVAL '6 minutes', INTERVAL '3 minutes')) AS bucket FROM runtime WHERE kind <> 'guardrail')
  GROUP BY tenant, principal, bucket HAVING count(*) >= 2)
SELECT b.bucket AS event_time, b.tenant, b.principal, b.bucket, b.n, b.call_event_ids FROM bursts b
WHERE NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = b.tenant AND i.principal = b.principal AND i.kind = 'token_revoked'
  AND i.event_time BETWEEN b.bucket AND b.bucket + INTERVAL '10 minutes')

-- shape: a change between neighbours, then a call, and nothing between
-- key: e_event_id
-- proves: waits for runtime 0 and identity 0 (`lag` over a window depends on rows that may still come in between); identity by tenant, principal -15m..0 needs 1; runtime r by tenant, principal 0..0 needs 1; runtime g by tenant, principal -5m..0
WITH moved AS (
  SELECT event_time, tenant, principal, event_id, country, previous FROM (
    SELECT event_time, tenant, principal, event_id, country, lag(country) OVER w AS previous, lag(event_time) OVER w AS previous_time
    FROM identity WHERE principal IS NOT NULL WINDOW w AS (PARTITION BY tenant, principal ORDER BY event_time, event_id))
  WHERE country <> previous AND event_time - previous_time <= INTERVAL '10 minutes')
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, m.event_id AS login_event_id
FROM moved m JOIN runtime r ON r.tenant = m.tenant AND r.principal = m.principal AND r.kind = 'tool_call'
 AND r.event_time BETWEEN m.event_time AND m.event_time + INTERVAL '5 minutes'
WHERE NOT EXISTS (SELECT 1 FROM runtime g WHERE g.tenant = r.tenant AND g.principal = r.principal AND g.kind = 'guardrail'
  AND g.event_time BETWEEN m.event_time AND r.event_time)

-- shape: one of two sequences in a bucket, counted
-- key: principal, bucket
-- proves: at once; runtime a by tenant, principal -13m-1us..599999998us; runtime b by tenant, principal -10m-1us..10m-1us; identity i by tenant, principal -13m-1us..599999998us; runtime r by tenant, principal -10m-1us..10m-1us
WITH found AS (
  SELECT b.event_time, b.tenant, b.principal, b.event_id FROM runtime a JOIN runtime b ON b.tenant = a.tenant AND b.principal = a.principal
    AND b.event_time > a.event_time AND b.event_time <= a.event_time + INTERVAL '3 minutes' WHERE a.kind = 'guardrail'
  UNION
  SELECT r.event_time, r.tenant, r.principal, r.event_id FROM identity i JOIN runtime r ON r.tenant = i.tenant AND r.principal = i.principal
    AND r.event_time > i.event_time AND r.event_time <= i.event_time + INTERVAL '3 minutes' WHERE i.kind = 'risk_changed')
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, count(*) AS n, array_agg(event_id) AS call_event_ids
FROM found GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= 2

-- shape: the first of a bucket, and nobody else in it
-- key: e_event_id
-- proves: waits for runtime 6m (`row_number` over a window depends on rows that may still come in between); runtime by tenant, tool -6m-1us..6m-1us needs 1; runtime o by tenant, tool -6m..6m; warns W044
SELECT f.event_time, f.tenant, f.principal, f.tool, f.event_id AS e_event_id FROM (
  SELECT event_time, tenant, principal, tool, event_id,
         row_number() OVER (PARTITION BY tenant, tool, date_bin(INTERVAL '6 minutes', event_time) ORDER BY event_time, event_id) AS rn
  FROM runtime WHERE kind = 'tool_call') f
LEFT JOIN runtime o ON o.tenant = f.tenant AND o.tool = f.tool AND o.principal <> f.principal
 AND o.event_time BETWEEN f.event_time - INTERVAL '6 minutes' AND f.event_time + INTERVAL '6 minutes'
WHERE f.rn = 1 AND o.event_id IS NULL

-- shape: a sensitive tool, used by few, without a login before it
-- key: e_event_id
-- proves: waits for runtime 0 and identity 0 (an outer join waits until no `runtime o` can come any more); runtime r by tenant 0..0 needs 1; runtime o by tenant -10m..-1us; identity i by tenant -4m..0; warns W052
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, count(DISTINCT o.principal) AS others
FROM runtime r JOIN tools t ON t.tool = r.tool AND t.sensitivity <> 'low'
LEFT JOIN runtime o ON o.tenant = r.tenant AND o.tool = r.tool AND o.principal <> r.principal
 AND o.event_time >= r.event_time - INTERVAL '10 minutes' AND o.event_time < r.event_time
WHERE r.kind = 'tool_call' AND r.session_id NOT IN (SELECT i.session_id FROM identity i WHERE i.tenant = r.tenant AND i.kind = 'authentication'
  AND i.event_time BETWEEN r.event_time - INTERVAL '4 minutes' AND r.event_time)
GROUP BY r.tenant, r.principal, r.event_time, r.event_id HAVING count(DISTINCT o.principal) <= 1

-- shape: growth from one sliding bucket to the next
-- key: principal, bucket
-- proves: waits for runtime 8m-1us (`lag` over a window depends on rows that may still come in between); runtime by tenant, principal -4m..8m-1us needs 1; warns W045
WITH counted AS (
  SELECT tenant, principal, bucket, count(*) AS n
  FROM (SELECT tenant, principal, unnest(hop(event_time, INTERVAL '8 minutes', INTERVAL '4 minutes')) AS bucket FROM runtime)
  GROUP BY tenant, principal, bucket)
SELECT bucket AS event_time, tenant, principal, bucket, n, before FROM (
  SELECT tenant, principal, bucket, n, lag(n) OVER (PARTITION BY tenant, principal ORDER BY bucket) AS before,
         lag(bucket) OVER (PARTITION BY tenant, principal ORDER BY bucket) AS bucket_before FROM counted)
WHERE n > before AND bucket - bucket_before <= INTERVAL '4 minutes'

-- shape: scopes that no earlier token of the principal had
-- key: e_event_id, scope
-- proves: waits for identity -1us (NOT EXISTS waits until no `identity granted` can come any more); identity granted by tenant, principal 0..0 needs 1; identity granted by tenant, principal -10m..-1us
WITH granted AS (SELECT event_time, tenant, principal, event_id, unnest(scopes) AS scope FROM identity WHERE kind = 'authentication')
SELECT b.event_time, b.tenant, b.principal, b.event_id AS e_event_id, b.scope FROM granted b
WHERE NOT EXISTS (SELECT 1 FROM granted a WHERE a.tenant = b.tenant AND a.principal = b.principal AND a.scope = b.scope
  AND a.event_time >= b.event_time - INTERVAL '10 minutes' AND a.event_time < b.event_time)

-- shape: absent, said early, counted in a bucket
-- key: principal, bucket
-- emit: early
-- proves: waits for identity 7m-1us (NOT EXISTS waits until no `identity i` can come any more); runtime r by tenant, principal -5m-1us..5m-1us needs 1; identity i by tenant, principal -7m-1us..7m-1us; warns W045
SELECT max(r.event_time) AS event_time, r.tenant, r.principal, date_bin(INTERVAL '5 minutes', r.event_time) AS bucket, count(*) AS n
FROM runtime r WHERE NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
  AND i.event_time BETWEEN r.event_time - INTERVAL '2 minutes' AND r.event_time + INTERVAL '2 minutes')
GROUP BY r.tenant, r.principal, date_bin(INTERVAL '5 minutes', r.event_time) HAVING count(*) >= 2

-- shape: a window over a left join
-- key: e_event_id
-- proves: waits for runtime 0 and identity 0 (an outer join waits until no `identity i` can come any more); runtime r by tenant, principal -5m..0 needs 1; identity i by tenant, principal -6m..0
SELECT event_time, tenant, principal, e_event_id, n FROM (
  SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, i.event_id AS login_event_id,
         count(i.event_id) OVER (PARTITION BY r.tenant, r.principal ORDER BY r.event_time RANGE BETWEEN INTERVAL '5 minutes' PRECEDING AND CURRENT ROW) AS n
  FROM runtime r LEFT JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND i.kind = 'token_revoked'
   AND i.event_time BETWEEN r.event_time - INTERVAL '1 minute' AND r.event_time)
WHERE n = 0

-- shape: a window over what a window found
-- key: e_event_id
-- proves: waits for identity 0 (`lag` over a window depends on rows that may still come in between); identity by tenant, principal -12m..0 needs 1
SELECT event_time, tenant, principal, e_event_id, changes FROM (
  SELECT event_time, tenant, principal, e_event_id, count(*) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN INTERVAL '6 minutes' PRECEDING AND CURRENT ROW) AS changes FROM (
    SELECT event_time, tenant, principal, event_id AS e_event_id, country, lag(country) OVER w AS previous, lag(event_time) OVER w AS previous_time
    FROM identity WINDOW w AS (PARTITION BY tenant, principal ORDER BY event_time, event_id))
  WHERE country <> previous AND event_time - previous_time <= INTERVAL '6 minutes')
WHERE changes >= 2

-- shape: a group of what was first
-- key: tool, bucket
-- proves: waits for runtime 599999998us (NOT EXISTS waits until no `runtime a` can come any more); runtime b by tenant, tool -10m-1us..10m-1us needs 1; runtime a by tenant, tool -18m-1us..599999998us; warns W044
WITH firsts AS (
  SELECT b.event_time, b.tenant, b.principal, b.tool, b.event_id FROM runtime b WHERE b.principal IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM runtime a WHERE a.tenant = b.tenant AND a.principal = b.principal AND a.tool = b.tool
      AND a.event_time >= b.event_time - INTERVAL '8 minutes' AND a.event_time < b.event_time))
SELECT max(event_time) AS event_time, tenant, min(principal) AS principal, tool, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
       count(DISTINCT principal) AS principals, array_agg(event_id) AS first_event_ids
FROM firsts GROUP BY tenant, tool, date_bin(INTERVAL '10 minutes', event_time) HAVING count(DISTINCT principal) >= 2
