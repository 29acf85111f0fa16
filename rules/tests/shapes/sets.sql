-- UNION, DISTINCT, WITH, reference tables.

-- shape: union all
-- key: e_event_id
-- proves: at once; runtime by tenant, principal 0..0; identity i by tenant, principal 0..0; identity p by tenant, principal -3m..0
SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'guardrail'
UNION ALL
SELECT i.event_time, i.tenant, i.principal, i.event_id FROM identity i JOIN identity p ON p.tenant = i.tenant AND p.principal = i.principal
 AND i.event_time BETWEEN p.event_time AND p.event_time + INTERVAL '3 minutes' WHERE i.kind = 'authentication' AND p.kind = 'risk_changed'

-- shape: union
-- key: principal, bucket
-- proves: at once; runtime by tenant, principal 0..10m-1us; identity by tenant, principal 0..10m-1us; warns W045
SELECT date_bin(INTERVAL '10 minutes', event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket FROM runtime WHERE kind = 'guardrail'
UNION
SELECT date_bin(INTERVAL '10 minutes', event_time), tenant, principal, date_bin(INTERVAL '10 minutes', event_time) FROM identity WHERE kind = 'risk_changed'

-- shape: counting over a union
-- key: principal, bucket
-- proves: waits for runtime 10m-1us and identity 10m-1us (the condition `count(DISTINCT everything.plane) = 2` can become false again while rows arrive); runtime by tenant, principal -10m-1us..10m-1us; identity by tenant, principal -10m-1us..10m-1us; warns W045
WITH everything AS (
  SELECT event_time, tenant, principal, event_id, 'runtime' AS plane FROM runtime WHERE kind = 'tool_call'
  UNION ALL
  SELECT event_time, tenant, principal, event_id, 'identity' FROM identity WHERE kind = 'authentication')
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, count(*) AS n, count(DISTINCT plane) AS planes
FROM everything GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(DISTINCT plane) = 2

-- shape: a neighbour in a union
-- key: e_event_id
-- proves: waits for runtime 0 and identity 0 (`lag` over a window depends on rows that may still come in between); runtime by tenant, principal -5m..0; identity by tenant, principal -5m..0
WITH everything AS (
  SELECT event_time, tenant, principal, event_id, kind FROM runtime
  UNION ALL
  SELECT event_time, tenant, principal, event_id, kind FROM identity)
SELECT event_time, tenant, principal, event_id AS e_event_id, previous FROM (
  SELECT event_time, tenant, principal, event_id, kind,
         lag(kind) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous,
         lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous_time
  FROM everything)
WHERE kind = 'tool_call' AND previous = 'token_revoked' AND event_time - previous_time <= INTERVAL '5 minutes'

-- shape: distinct
-- key: principal, bucket, tool
-- proves: at once; runtime by tenant, principal, tool 0..10m-1us needs 1; warns W045
SELECT DISTINCT date_bin(INTERVAL '10 minutes', event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, tool FROM runtime

-- shape: distinct of a join
-- key: r_event_id
-- proves: at once; runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -3m..0 needs 1
SELECT DISTINCT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND i.event_time BETWEEN r.event_time - INTERVAL '3 minutes' AND r.event_time
WHERE r.kind = 'tool_call'

-- shape: one query in WITH, read twice
-- key: b_event_id
-- proves: at once; runtime calls by tenant, session_id -4m-1us..-1us needs 1; runtime calls by tenant, session_id 0..0 needs 1
WITH calls AS (SELECT event_time, tenant, session_id, event_id, tool FROM runtime WHERE kind = 'tool_call')
SELECT b.event_time, b.tenant, b.session_id, a.event_id AS a_event_id, b.event_id AS b_event_id
FROM calls a JOIN calls b ON b.tenant = a.tenant AND b.session_id = a.session_id AND b.tool <> a.tool
 AND b.event_time > a.event_time AND b.event_time < a.event_time + INTERVAL '4 minutes'

-- shape: joined with a reference table
-- key: e_event_id
-- proves: at once; runtime r by tenant, event_id 0..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, t.sensitivity
FROM runtime r JOIN tools t ON t.tool = r.tool WHERE t.sensitivity = 'high'

-- shape: left joined with a reference table
-- key: e_event_id
-- proves: at once; runtime r by tenant, event_id 0..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, a.owner
FROM runtime r LEFT JOIN agents a ON a.agent_id = r.agent_id WHERE r.kind = 'tool_call' AND (a.agent_id IS NULL OR NOT array_has(a.tools, r.tool))

-- shape: two scans, joined through a reference table
-- key: r_event_id
-- proves: at once; runtime r by tenant 0..0 needs 1; identity i by tenant -5m..0 needs 1; warns W052
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.event_id AS i_event_id
FROM runtime r JOIN agents a ON a.agent_id = r.agent_id
JOIN identity i ON i.tenant = r.tenant AND i.principal = a.owner AND i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time

-- shape: exists in a reference table
-- key: e_event_id
-- proves: at once; runtime r by tenant, event_id 0..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND EXISTS (SELECT 1 FROM tools t WHERE t.tool = r.tool AND t.sensitivity = 'high')

-- shape: a scalar from a reference table
-- key: e_event_id
-- proves: at once; runtime r by tenant, event_id 0..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND r.input_tokens >= (SELECT count(*) * 5 FROM tools)

-- shape: a scalar from a reference table, for each row
-- key: e_event_id
-- proves: at once; runtime r by tenant, event_id 0..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND (SELECT max(t.sensitivity) FROM tools t WHERE t.tool = r.tool) = 'high'

-- shape: constants as a table
-- key: e_event_id
-- proves: at once; runtime r by tenant, event_id 0..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, w.weight
FROM runtime r JOIN (VALUES ('tool0', 1), ('tool2', 5)) AS w (tool, weight) ON w.tool = r.tool WHERE r.kind = 'tool_call'

-- shape: a scalar over the history
-- key: e_event_id
-- refuses: 1:109: W028: an aggregate as a subquery gives a value even when nothing happened, and can't be bounded in time; join what it counts, with a LEFT JOIN where there may be none, and write `GROUP BY r.tenant, r.principal, r.event_time, r.event_id HAVING count(i.event_id) < 3`
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r WHERE r.score > (SELECT max(score) FROM runtime)

-- shape: except
-- key: e_event_id
-- refuses: 1:75: W026: EXCEPT can't be bounded in time; write EXISTS or NOT EXISTS with a bound on `event_time`
SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime EXCEPT SELECT event_time, tenant, principal, event_id FROM runtime WHERE kind = 'prompt'

-- shape: a table of constants alone
-- key: principal
-- refuses: 1:1: W034: the query reads neither `runtime` nor `identity` nor `signals`; select from `runtime`, `identity` or `signals`
SELECT TIMESTAMP '2024-01-01T00:00:00' AS event_time, 'a' AS tenant, 'b' AS principal
