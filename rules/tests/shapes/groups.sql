-- GROUP BY a key with a bucket, and HAVING.

-- shape: threshold in a bucket
-- key: principal, bucket
-- proves: at once; identity by tenant, principal -5m-1us..5m-1us needs 2
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket,
       count(*) AS n, array_agg(event_id) AS all_event_ids, array_agg(DISTINCT country) AS countries
FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) >= 2

-- shape: distinct values in a bucket
-- key: principal, bucket
-- proves: at once; identity by tenant, principal -10m-1us..10m-1us needs 2; warns W045
SELECT min(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
       count(DISTINCT country) AS countries
FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(DISTINCT country) >= 2

-- shape: sliding buckets
-- key: principal, bucket
-- proves: at once; identity by tenant, principal -6m-1us..6m-1us needs 2
SELECT max(event_time) AS event_time, tenant, principal, bucket, count(*) AS n, array_agg(event_id) AS all_event_ids
FROM (SELECT event_time, tenant, principal, event_id, unnest(hop(event_time, INTERVAL '6 minutes', INTERVAL '2 minutes')) AS bucket
      FROM identity WHERE kind <> 'risk_changed')
GROUP BY tenant, principal, bucket HAVING count(*) >= 2

-- shape: sliding buckets in the grouping itself
-- key: principal, bucket
-- proves: at once; identity by tenant, principal -10m-1us..10m-1us needs 3; warns W045
SELECT max(event_time) AS event_time, tenant, principal, unnest(hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')) AS bucket, count(DISTINCT country) AS countries
FROM identity GROUP BY tenant, principal, unnest(hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')) HAVING count(DISTINCT country) >= 3

-- shape: few in a sliding bucket
-- key: principal, bucket
-- proves: waits for runtime 6m-1us (the condition `count(*) < 2` can become false again while rows arrive); runtime by tenant, principal 0..6m-1us needs 1; warns W045
SELECT bucket AS event_time, tenant, principal, bucket, count(*) AS n
FROM (SELECT event_time, tenant, principal, unnest(hop(event_time, INTERVAL '6 minutes', INTERVAL '3 minutes')) AS bucket FROM runtime WHERE kind = 'tool_call')
GROUP BY tenant, principal, bucket HAVING count(*) < 2

-- shape: sliding buckets over a join
-- key: session_id, bucket
-- proves: at once; runtime r by tenant, session_id -6m-1us..6m-1us needs 1; identity i by tenant, session_id -8m-1us..6m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, session_id, bucket, count(*) AS pairs
FROM (SELECT r.event_time, r.tenant, r.session_id, unnest(hop(r.event_time, INTERVAL '6 minutes', INTERVAL '3 minutes')) AS bucket
      FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.session_id = r.session_id AND i.event_time BETWEEN r.event_time - INTERVAL '2 minutes' AND r.event_time)
GROUP BY tenant, session_id, bucket HAVING count(*) >= 2

-- shape: an event and the burst that a sliding bucket holds
-- key: e_event_id
-- proves: waits for identity 4m-1us (the join condition `r.event_time >= b.last_time` can become false again while rows arrive); runtime r by tenant, principal 0..0 needs 1; identity by tenant, principal -10m-1us..4m-1us needs 2
WITH bursts AS (
  SELECT tenant, principal, bucket, max(event_time) AS last_time, count(*) AS n
  FROM (SELECT event_time, tenant, principal, unnest(hop(event_time, INTERVAL '4 minutes', INTERVAL '2 minutes')) AS bucket FROM identity WHERE kind = 'authentication')
  GROUP BY tenant, principal, bucket HAVING count(*) >= 2)
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, b.n
FROM runtime r JOIN bursts b ON b.tenant = r.tenant AND b.principal = r.principal AND r.event_time BETWEEN b.last_time AND b.last_time + INTERVAL '6 minutes'

-- shape: upper threshold
-- key: principal, bucket
-- proves: waits for runtime 5m-1us (the condition `count(*) <= 2` can become false again while rows arrive); runtime by tenant, principal 0..5m-1us needs 1; warns W045
SELECT date_bin(INTERVAL '5 minutes', event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, count(*) AS n
FROM runtime WHERE kind = 'tool_call' GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) <= 2

-- shape: exactly so many
-- key: principal, bucket
-- proves: waits for runtime 5m-1us (the condition `count(*) = 2` can become false again while rows arrive); runtime by tenant, principal -5m-1us..5m-1us needs 2; warns W045
SELECT min(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) = 2

-- shape: pairs in a bucket
-- key: session_id, bucket
-- proves: at once; runtime r by tenant, session_id -6m-1us..6m-1us needs 1; identity i by tenant, session_id -10m-1us..6m-1us needs 1; warns W045
SELECT max(r.event_time) AS event_time, r.tenant, r.session_id, date_bin(INTERVAL '6 minutes', r.event_time) AS bucket, count(*) AS n
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.session_id = r.session_id
 AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '4 minutes'
WHERE r.kind = 'tool_call' GROUP BY r.tenant, r.session_id, date_bin(INTERVAL '6 minutes', r.event_time) HAVING count(*) >= 2

-- shape: burst, then
-- key: e_event_id
-- proves: waits for identity 5m-1us (the join condition `r.event_time >= b.last_time` can become false again while rows arrive); runtime r by tenant, principal 0..0 needs 1; identity by tenant, principal -15m-1us..5m-1us needs 2
WITH bursts AS (
  SELECT tenant, principal, min(event_time) AS first_time, max(event_time) AS last_time, count(*) AS n
  FROM identity WHERE kind = 'authentication' GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) >= 2)
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id
FROM runtime r JOIN bursts b ON b.tenant = r.tenant AND b.principal = r.principal
 AND r.event_time BETWEEN b.last_time AND b.last_time + INTERVAL '10 minutes'

-- shape: sum from below
-- key: principal, bucket
-- proves: waits for runtime 10m-1us (the condition `sum(runtime.input_tokens) > 25` can become false again while rows arrive); runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, sum(input_tokens) AS tokens
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING sum(input_tokens) > 25

-- shape: sum of terms that are never negative
-- key: principal, bucket
-- proves: at once; runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING sum(CASE WHEN kind = 'guardrail' THEN 3 ELSE 1 END) >= 5

-- shape: sum of terms that a condition keeps from being negative
-- key: principal, bucket
-- proves: at once; runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime WHERE input_tokens >= 0 GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING sum(input_tokens) > 25

-- shape: sum of decimals
-- key: principal, bucket
-- proves: waits for runtime 10m-1us (the condition `sum(runtime.score) >= 0.300000` can become false again while rows arrive); runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, avg(score) AS mean
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING sum(TRY_CAST(score AS DECIMAL(18, 6))) >= 0.3

-- shape: max from below and min from above
-- key: principal, bucket
-- proves: at once; runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING max(score) >= 0.2 AND min(input_tokens) < 10

-- shape: max from above
-- key: principal, bucket
-- proves: waits for runtime 10m-1us (the condition `max(runtime.score) < 0.2` can become false again while rows arrive); runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING max(score) < 0.2

-- shape: share of failures
-- key: principal, bucket
-- proves: waits for runtime 10m-1us (the condition `count(*) FILTER (WHERE runtime.kind = 'guardrail') * 2 > count(*)` can become false again while rows arrive); runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
       count(*) FILTER (WHERE kind = 'guardrail') AS flags, count(*) AS n
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time)
HAVING count(*) FILTER (WHERE kind = 'guardrail') * 2 > count(*)

-- shape: filtered counts from below
-- key: principal, bucket
-- proves: at once; runtime by tenant, principal -10m-1us..10m-1us needs 2; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time)
HAVING count(*) FILTER (WHERE kind = 'guardrail') >= 1 AND count(*) FILTER (WHERE kind = 'tool_call') >= 2

-- shape: failures, then success in one bucket
-- key: principal, bucket
-- proves: at once; identity by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time)
HAVING min(event_time) FILTER (WHERE kind = 'token_revoked') < max(event_time) FILTER (WHERE kind = 'authentication')

-- shape: the time of some rows of a group
-- key: principal, bucket
-- refuses: 1:129: W047: `event_time` may be NULL, and a finding without it can't be told; take it from a side that is always there, or keep only rows with `event_time IS NOT NULL`
SELECT max(event_time) FILTER (WHERE kind = 'authentication') AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= 2

-- shape: first and last of a group
-- key: principal, bucket
-- proves: waits for runtime 10m-1us (the condition `last_value(runtime.tool) ORDER BY [runtime.event_time, runtime.event_id] <> first_value(runtime.tool) ORDER BY [runtime.event_time, runtime.event_id]` can become false again while rows arrive); runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
       first_value(tool ORDER BY event_time, event_id) AS first_tool, last_value(tool ORDER BY event_time, event_id) AS last_tool
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time)
HAVING first_value(tool ORDER BY event_time, event_id) <> last_value(tool ORDER BY event_time, event_id)

-- shape: groups of groups
-- key: bucket, principal
-- proves: waits for runtime 5m-1us (the condition `count(*) >= 2` can become false again while rows arrive); runtime by tenant, principal 0..5m-1us needs 1; warns W045
WITH five AS (
  SELECT tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, tool, count(*) AS n
  FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time), tool)
SELECT bucket AS event_time, tenant, principal, bucket, count(*) AS tools, sum(n) AS calls
FROM five GROUP BY tenant, principal, bucket HAVING count(*) >= 2 AND sum(n) >= 3

-- shape: nothing from the other table in the bucket
-- key: principal, bucket
-- proves: waits for identity 5m (NOT EXISTS waits until no `identity i` can come any more); runtime by tenant, principal 0..5m-1us needs 2; identity i by tenant, principal 0..5m; warns W045
WITH busy AS (
  SELECT tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, count(*) AS n
  FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) >= 2)
SELECT b.bucket AS event_time, b.tenant, b.principal, b.bucket, b.n FROM busy b
WHERE NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = b.tenant AND i.principal = b.principal
  AND i.event_time BETWEEN b.bucket AND b.bucket + INTERVAL '5 minutes')

-- shape: both tables in a bucket
-- key: principal, bucket
-- proves: at once; runtime by tenant, principal -5m-1us..5m-1us needs 2; identity by tenant, principal -5m-1us..5m-1us needs 2; warns W045
WITH calls AS (
  SELECT tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, max(event_time) AS last_time, count(*) AS n
  FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time)),
logins AS (
  SELECT tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, count(DISTINCT country) AS countries
  FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time))
SELECT c.last_time AS event_time, c.tenant, c.principal, c.bucket, c.n, l.countries
FROM calls c JOIN logins l ON l.tenant = c.tenant AND l.principal = c.principal AND l.bucket = c.bucket
WHERE c.n >= 2 AND l.countries >= 2

-- shape: by hour and day
-- key: principal, hour
-- proves: at once; identity by tenant, principal -60m-1us..60m-1us needs 4; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_trunc('hour', event_time) AS hour, count(*) AS n
FROM identity GROUP BY tenant, principal, date_trunc('hour', event_time) HAVING count(*) >= 4

-- shape: about one row and those before it
-- key: e_event_id
-- proves: at once; runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -5m..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, count(*) AS failures
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time
WHERE r.kind = 'tool_call' GROUP BY r.tenant, r.principal, r.event_time, r.event_id HAVING count(*) >= 2

-- shape: few rows before one, none included
-- key: e_event_id
-- proves: waits for runtime 0 and identity 0 (an outer join waits until no `identity i` can come any more); runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -5m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, count(i.event_id) AS n
FROM runtime r LEFT JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time
WHERE r.kind = 'tool_call' GROUP BY r.tenant, r.principal, r.event_time, r.event_id HAVING count(i.event_id) < 2

-- shape: a group without a bucket
-- key: principal
-- refuses: 1:47: W043: the key determines neither an event nor a time bucket, so its findings would have to be remembered for ever; add an event's id to the key, or a bucket such as `date_bin(INTERVAL '15 minutes', event_time) AS bucket`
SELECT max(event_time) AS event_time, tenant, principal, count(*) AS n FROM identity GROUP BY tenant, principal HAVING count(*) >= 5

-- shape: a group bound only by its own size
-- key: principal, first_time
-- refuses: 1:93: W050: rule a-group-bound-only-by-its-own-size never forgets `identity`; group it by a bucket, e.g. `GROUP BY identity.principal, date_bin(INTERVAL '15 minutes', identity.event_time)`
SELECT max(event_time) AS event_time, tenant, principal, min(event_time) AS first_time FROM identity
GROUP BY tenant, principal HAVING max(event_time) - min(event_time) <= INTERVAL '1 hour'

-- shape: floats that decide
-- key: principal, bucket
-- refuses: 2:86: W053: `sum(runtime.score) >= 0.6` depends on the order in which floats are added; cast the summed value first, such as `sum(TRY_CAST(score AS DECIMAL(18, 6)))`
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING sum(score) >= 0.6

-- shape: a mean that decides
-- key: principal, bucket
-- refuses: 2:86: W053: `avg(runtime.score) >= 0.6` depends on the order in which floats are added; cast the summed value first, such as `sum(TRY_CAST(score AS DECIMAL(18, 6)))`
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING avg(score) >= 0.6

-- shape: hop with a slide beyond its size
-- key: principal, bucket
-- refuses: 2:52: W048: `hop` needs fixed intervals above zero, a slide no longer than the size, and at most 1000 slides in a size; write `hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')`
SELECT max(event_time) AS event_time, tenant, principal, bucket, count(*) AS n
FROM (SELECT event_time, tenant, principal, unnest(hop(event_time, INTERVAL '5 minutes', INTERVAL '10 minutes')) AS bucket FROM identity)
GROUP BY tenant, principal, bucket HAVING count(*) >= 2

-- shape: hop with too many buckets
-- key: principal, bucket
-- refuses: 2:52: W048: `hop` needs fixed intervals above zero, a slide no longer than the size, and at most 1000 slides in a size; write `hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')`
SELECT max(event_time) AS event_time, tenant, principal, bucket, count(*) AS n
FROM (SELECT event_time, tenant, principal, unnest(hop(event_time, INTERVAL '30 days', INTERVAL '1 second')) AS bucket FROM identity)
GROUP BY tenant, principal, bucket HAVING count(*) >= 2

-- shape: hop with a size that isn't constant
-- key: principal, bucket
-- refuses: 2:52: W048: `hop` takes a time and two constant intervals; write `hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')`
SELECT max(event_time) AS event_time, tenant, principal, bucket, count(*) AS n
FROM (SELECT event_time, tenant, principal, unnest(hop(event_time, expires_at - event_time, INTERVAL '1 minute')) AS bucket FROM identity)
GROUP BY tenant, principal, bucket HAVING count(*) >= 2

-- shape: hop with a negative size
-- key: principal, bucket
-- refuses: 2:52: W048: `hop` needs fixed intervals above zero, a slide no longer than the size, and at most 1000 slides in a size; write `hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')`
SELECT max(event_time) AS event_time, tenant, principal, bucket, count(*) AS n
FROM (SELECT event_time, tenant, principal, unnest(hop(event_time, INTERVAL '-5 minutes', INTERVAL '1 minute')) AS bucket FROM identity)
GROUP BY tenant, principal, bucket HAVING count(*) >= 2

-- shape: grouping sets
-- key: principal, bucket
-- refuses: 2:23: W026: GROUPING SETS, ROLLUP and CUBE can't be streamed; write one SELECT per grouping with UNION ALL
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime GROUP BY ROLLUP (tenant, principal, date_bin(INTERVAL '10 minutes', event_time))

-- shape: the time of some rows of a group, where there are some
-- key: principal, bucket
-- proves: waits for identity 10m-1us (the condition `max(identity.event_time) FILTER (WHERE identity.kind = 'authentication') IS NOT NULL` can become false again while rows arrive); identity by tenant, principal -10m-1us..10m-1us needs 2; warns W045
SELECT max(event_time) FILTER (WHERE kind = 'authentication') AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time)
HAVING max(event_time) FILTER (WHERE kind = 'authentication') IS NOT NULL AND count(*) >= 2

-- shape: a path of tools, in order
-- key: principal, bucket
-- proves: waits for runtime 10m-1us (the condition `array_to_string(array_agg(runtime.tool) ORDER BY [runtime.event_time, runtime.event_id], ' > ') LIKE '%tool0 > tool1%'` can become false again while rows arrive); runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
       array_to_string(array_agg(tool ORDER BY event_time, event_id), ' > ') AS path
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time)
HAVING array_to_string(array_agg(tool ORDER BY event_time, event_id), ' > ') LIKE '%tool0 > tool1%'

-- shape: a list asked for what it holds
-- key: principal, bucket
-- proves: waits for runtime 10m-1us (the condition `array_has(array_agg(runtime.tool), 'tool1')` can become false again while rows arrive); runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, array_sort(array_agg(DISTINCT tool)) AS tools
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING array_has(array_agg(tool), 'tool1') AND array_length(array_agg(tool)) >= 2

-- shape: a path of tools, in any order
-- key: principal, bucket
-- refuses: 1:129: W039: `array_to_string(array_agg(runtime.tool), ' > ')` depends on the order in which rows were gathered into a list; give array_agg an order that no two rows share, such as `array_agg(tool ORDER BY event_time, event_id)`, or sort it with `array_sort`
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, array_to_string(array_agg(tool), ' > ') AS path
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= 2

-- shape: a float sum as detail
-- key: principal, bucket
-- proves: at once; runtime by tenant, principal -10m-1us..10m-1us needs 2; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, sum(score) AS total
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= 2

-- shape: a float sum that decides behind a left join
-- key: e_event_id
-- refuses: 2:93: W053: `coalesce(t.total, 0) > 0.6` depends on the order in which floats are added; cast the summed value first, such as `sum(TRY_CAST(score AS DECIMAL(18, 6)))`
SELECT i.event_time, i.tenant, i.principal, i.event_id AS e_event_id FROM identity i
LEFT JOIN (SELECT tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, sum(score) AS total FROM runtime
           GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time)) t
  ON t.tenant = i.tenant AND t.principal = i.principal AND t.bucket = date_bin(INTERVAL '10 minutes', i.event_time)
WHERE coalesce(t.total, 0) > 0.6

-- shape: scopes counted, several of one row
-- key: principal, bucket
-- proves: at once; identity by tenant, principal -5m-1us..5m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, count(*) AS n
FROM (SELECT event_time, tenant, principal, unnest(scopes) AS scope FROM identity)
GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) >= 3

-- shape: scopes joined into a text
-- key: principal, bucket
-- proves: at once; identity by tenant, principal -5m-1us..5m-1us needs 2; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket,
       string_agg(country, ',' ORDER BY event_time, event_id) AS path
FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) >= 2

-- shape: min from below
-- key: principal, bucket
-- proves: waits for runtime 10m-1us (the condition `min(runtime.input_tokens) >= 10` can become false again while rows arrive); runtime by tenant, principal -10m-1us..10m-1us needs 1; warns W045
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING min(input_tokens) >= 10
