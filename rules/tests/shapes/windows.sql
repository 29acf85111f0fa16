-- Window functions, partitioned by key and bounded in time.

-- shape: change between neighbours
-- key: e_event_id
-- proves: waits for identity 0 (`lag` over a window depends on rows that may still come in between); identity by tenant, principal -10m..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, previous FROM (
  SELECT event_time, tenant, principal, event_id, country,
         lag(country) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous,
         lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous_time
  FROM identity WHERE kind <> 'token_revoked')
WHERE country <> previous AND event_time - previous_time <= INTERVAL '10 minutes'

-- shape: a new network, by a named window
-- key: e_event_id
-- proves: waits for identity 0 (`lag` over a window depends on rows that may still come in between); identity by tenant, principal -10m..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, network, previous FROM (
  SELECT event_time, tenant, principal, event_id, ip_prefix(ip, 16) AS network,
         lag(ip_prefix(ip, 16)) OVER w AS previous, lag(event_time) OVER w AS previous_time
  FROM identity WINDOW w AS (PARTITION BY tenant, principal ORDER BY event_time, event_id))
WHERE (network IS DISTINCT FROM previous) AND previous_time >= event_time - INTERVAL '10 minutes'

-- shape: impossible travel
-- key: e_event_id
-- proves: waits for identity 0 (`lag` over a window depends on rows that may still come in between); identity by tenant, principal -10m..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, round(km) AS km FROM (
  SELECT event_time, tenant, principal, event_id, previous_time,
         2 * 6371 * asin(sqrt(power(sin(radians(latitude - lat) / 2), 2) + cos(radians(lat)) * cos(radians(latitude)) * power(sin(radians(longitude - lon) / 2), 2))) AS km
  FROM (SELECT event_time, tenant, principal, event_id, latitude, longitude,
               lag(latitude) OVER w AS lat, lag(longitude) OVER w AS lon, lag(event_time) OVER w AS previous_time
        FROM identity WINDOW w AS (PARTITION BY tenant, principal ORDER BY event_time, event_id))
  WHERE event_time - previous_time <= INTERVAL '10 minutes')
WHERE km > 900.0 * date_part('epoch', event_time - previous_time) / 3600

-- shape: the next event
-- key: e_event_id
-- proves: waits for runtime 5m-1us (`lead` over a window depends on rows that may still come in between); runtime by tenant, session_id 0..5m-1us needs 1
SELECT event_time, tenant, session_id, event_id AS e_event_id, next_kind FROM (
  SELECT event_time, tenant, session_id, event_id, kind,
         lead(kind) OVER (PARTITION BY tenant, session_id ORDER BY event_time, event_id) AS next_kind,
         lead(event_time) OVER (PARTITION BY tenant, session_id ORDER BY event_time, event_id) AS next_time
  FROM runtime)
WHERE kind = 'guardrail' AND next_kind = 'tool_call' AND next_time - event_time < INTERVAL '5 minutes'

-- shape: the fourth within a time, by lag
-- key: e_event_id
-- proves: waits for identity 0 (`lag` over a window depends on rows that may still come in between); identity by tenant, principal -8m..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id FROM (
  SELECT event_time, tenant, principal, event_id,
         lag(event_time, 3) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS fourth
  FROM identity)
WHERE event_time - fourth <= INTERVAL '8 minutes'

-- shape: two steps back beside a bounded third
-- key: e_event_id
-- proves: waits for identity 0 (`lag` over a window depends on rows that may still come in between); identity by tenant, principal -8m..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, before FROM (
  SELECT event_time, tenant, principal, event_id, country,
         lag(country, 2) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS before,
         lag(event_time, 3) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS earlier
  FROM identity)
WHERE country = before AND event_time - earlier <= INTERVAL '8 minutes'

-- shape: two steps back beside a bounded first
-- key: e_event_id
-- refuses: 3:26: W051: a window over `identity` reaches further than any bound; partition it by a bucket, give it a frame such as `ORDER BY identity.event_time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW`, or keep only rows with `event_time - lag(event_time) OVER (…) <= INTERVAL '1 hour'`
SELECT event_time, tenant, principal, event_id AS e_event_id, before FROM (
  SELECT event_time, tenant, principal, event_id, country,
         lag(country, 2) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS before,
         lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous_time
  FROM identity)
WHERE country = before AND event_time - previous_time <= INTERVAL '8 minutes'

-- shape: counting over a frame
-- key: e_event_id
-- proves: at once; identity by tenant, principal -4m..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, n FROM (
  SELECT event_time, tenant, principal, event_id,
         count(*) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN INTERVAL '4 minutes' PRECEDING AND CURRENT ROW) AS n
  FROM identity) WHERE n >= 3

-- shape: fewer than so many over a frame
-- key: e_event_id
-- proves: waits for identity 4m (the condition `count(*) PARTITION BY [identity.tenant, identity.principal] ORDER BY [identity.event_time] RANGE BETWEEN CURRENT ROW AND 4 minutes FOLLOWING < 2` can become false again while rows arrive); identity by tenant, principal 0..4m needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, n FROM (
  SELECT event_time, tenant, principal, event_id,
         count(*) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN CURRENT ROW AND INTERVAL '4 minutes' FOLLOWING) AS n
  FROM identity) WHERE n < 2

-- shape: the greatest over a frame
-- key: e_event_id
-- proves: waits for runtime 0 (the condition `runtime.score > max(runtime.score) PARTITION BY [runtime.tenant, runtime.principal] ORDER BY [runtime.event_time] RANGE BETWEEN 6 minutes PRECEDING AND 1 minute PRECEDING` can become false again while rows arrive); runtime by tenant, principal -6m..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, highest FROM (
  SELECT event_time, tenant, principal, event_id, score,
         max(score) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN INTERVAL '6 minutes' PRECEDING AND INTERVAL '1 minute' PRECEDING) AS highest
  FROM runtime) WHERE score > highest

-- shape: the first of a bucket
-- key: e_event_id
-- proves: waits for runtime 10m-1us (`row_number` over a window depends on rows that may still come in between); runtime by tenant, principal -10m-1us..10m-1us needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id FROM (
  SELECT event_time, tenant, principal, event_id,
         row_number() OVER (PARTITION BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) ORDER BY event_time, event_id) AS rn
  FROM runtime WHERE kind = 'tool_call') WHERE rn = 1

-- shape: the first three of a bucket
-- key: e_event_id
-- proves: waits for runtime 10m-1us (`row_number` over a window depends on rows that may still come in between); runtime by tenant, principal -10m-1us..10m-1us needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, rn FROM (
  SELECT event_time, tenant, principal, event_id, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
         row_number() OVER (PARTITION BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) ORDER BY event_time DESC, event_id) AS rn
  FROM runtime) WHERE rn <= 3 AND bucket IS NOT NULL

-- shape: ranks in a bucket
-- key: e_event_id
-- proves: waits for runtime 10m-1us (`dense_rank` over a window depends on rows that may still come in between); runtime by tenant, principal -10m-1us..10m-1us needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, r, d FROM (
  SELECT event_time, tenant, principal, event_id,
         rank() OVER (PARTITION BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) ORDER BY score DESC) AS r,
         dense_rank() OVER (PARTITION BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) ORDER BY event_time) AS d
  FROM runtime) WHERE r = 1 AND d <= 2

-- shape: the first value of a bucket
-- key: e_event_id
-- proves: waits for runtime 0 (`first_value` over a window depends on rows that may still come in between); runtime by tenant, principal -10m-1us..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, first_tool FROM (
  SELECT event_time, tenant, principal, event_id, tool,
         first_value(tool) OVER (PARTITION BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) ORDER BY event_time, event_id) AS first_tool
  FROM runtime) WHERE tool <> first_tool

-- shape: the share of a bucket
-- key: e_event_id
-- proves: waits for runtime 10m-1us (`count` over a window depends on rows that may still come in between); runtime by tenant, principal -10m-1us..10m-1us needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, n FROM (
  SELECT event_time, tenant, principal, event_id, tool,
         count(*) OVER (PARTITION BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time), tool) AS same,
         count(*) OVER (PARTITION BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time)) AS n
  FROM runtime) WHERE n >= 2 AND same = 1

-- shape: change within a sliding bucket
-- key: e_event_id, bucket
-- proves: waits for identity 0 (`lag` over a window depends on rows that may still come in between); identity by tenant, principal -6m-1us..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, bucket FROM (
  SELECT event_time, tenant, principal, event_id, bucket, country, lag(country) OVER (PARTITION BY tenant, principal, bucket ORDER BY event_time, event_id) AS previous
  FROM (SELECT event_time, tenant, principal, event_id, country, unnest(hop(event_time, INTERVAL '6 minutes', INTERVAL '3 minutes')) AS bucket FROM identity))
WHERE country <> previous

-- shape: change of a joined value
-- key: e_event_id
-- proves: waits for runtime 0 and identity 0 (`lag` over a window depends on rows that may still come in between); runtime r by tenant, principal -10m-1us..0 needs 1; identity i by tenant, principal -12m-1us..0 needs 1
SELECT event_time, tenant, principal, e_event_id FROM (
  SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, i.country,
         lag(i.country) OVER (PARTITION BY r.tenant, r.principal, date_bin(INTERVAL '10 minutes', r.event_time) ORDER BY r.event_time, r.event_id, i.event_id) AS previous
  FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND i.event_time BETWEEN r.event_time - INTERVAL '2 minutes' AND r.event_time)
WHERE country <> previous

-- shape: an order that a join leaves open
-- key: e_event_id
-- refuses: 3:10: W037: `lag` picks among rows that its order leaves tied; end its ORDER BY with the event's id, such as `ORDER BY event_time, event_id`; behind a join with the ids of all events that make up a row
SELECT event_time, tenant, principal, e_event_id FROM (
  SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, i.country,
         lag(i.country) OVER (PARTITION BY r.tenant, r.principal, date_bin(INTERVAL '10 minutes', r.event_time) ORDER BY r.event_time, r.event_id) AS previous
  FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND i.event_time BETWEEN r.event_time - INTERVAL '2 minutes' AND r.event_time)
WHERE country <> previous

-- shape: an order that leaves ties
-- key: e_event_id
-- refuses: 2:8: W037: `lag` picks among rows that its order leaves tied; end its ORDER BY with the event's id, such as `ORDER BY event_time, event_id`; behind a join with the ids of all events that make up a row
SELECT event_time, tenant, principal, event_id AS e_event_id,
       lag(country) OVER (PARTITION BY tenant, principal ORDER BY event_time) AS previous FROM identity

-- shape: a change without a bound
-- key: e_event_id
-- refuses: 3:23: W051: a window over `identity` reaches further than any bound; partition it by a bucket, give it a frame such as `ORDER BY identity.event_time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW`, or keep only rows with `event_time - lag(event_time) OVER (…) <= INTERVAL '1 hour'`
SELECT event_time, tenant, principal, event_id AS e_event_id FROM (
  SELECT event_time, tenant, principal, event_id, country,
         lag(country) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous
  FROM identity) WHERE country <> previous

-- shape: ranking without a bucket
-- key: e_event_id
-- refuses: 2:64: W051: a window over `identity` reaches further than any bound; partition it by a bucket, give it a frame such as `ORDER BY identity.event_time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW`, or keep only rows with `event_time - lag(event_time) OVER (…) <= INTERVAL '1 hour'`
SELECT event_time, tenant, principal, event_id AS e_event_id FROM (
  SELECT event_time, tenant, principal, event_id, row_number() OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS rn
  FROM identity) WHERE rn = 1

-- shape: the last five rows
-- key: e_event_id
-- refuses: 3:19: W051: a window over `identity` reaches further than any bound; partition it by a bucket, give it a frame such as `ORDER BY identity.event_time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW`, or keep only rows with `event_time - lag(event_time) OVER (…) <= INTERVAL '1 hour'`
SELECT event_time, tenant, principal, event_id AS e_event_id FROM (
  SELECT event_time, tenant, principal, event_id,
         count(*) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id ROWS BETWEEN 4 PRECEDING AND CURRENT ROW) AS n
  FROM identity) WHERE n >= 5

-- shape: a negative frame
-- key: e_event_id
-- refuses: 2:8: W027: the frame bound `INTERVAL '-1 hour' PRECEDING` is negative; write PRECEDING for rows before the current one and FOLLOWING for rows after it, with a positive interval
SELECT event_time, tenant, principal, event_id AS e_event_id,
       count(*) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN INTERVAL '-1 hour' PRECEDING AND CURRENT ROW) AS n FROM identity

-- shape: without parentheses an AND belongs to IS DISTINCT FROM
-- key: e_event_id
-- refuses: 1:88: W032: Error during planning: Cannot infer common argument type for logical boolean operation Utf8 AND Boolean; put it in parentheses, such as `(a IS DISTINCT FROM b) AND …`: without them the AND belongs to its right side
SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE ip IS DISTINCT FROM device_id AND kind = 'authentication'

-- shape: the first value of a frame
-- key: e_event_id
-- refuses: 2:8: W037: `first_value` picks among rows that its order leaves tied; end its ORDER BY with the event's id, such as `ORDER BY event_time, event_id`; behind a join with the ids of all events that make up a row
SELECT event_time, tenant, principal, event_id AS e_event_id,
       first_value(tool) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN INTERVAL '4 minutes' PRECEDING AND CURRENT ROW) AS first_tool
FROM runtime

-- shape: the least over a frame
-- key: e_event_id
-- proves: waits for runtime 0 (the condition `min(runtime.score) PARTITION BY [runtime.tenant, runtime.principal] ORDER BY [runtime.event_time] RANGE BETWEEN 4 minutes PRECEDING AND CURRENT ROW > 0.15` can become false again while rows arrive); runtime by tenant, principal -4m..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, least_score FROM (
  SELECT event_time, tenant, principal, event_id,
         min(score) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN INTERVAL '4 minutes' PRECEDING AND CURRENT ROW) AS least_score
  FROM runtime) WHERE least_score > 0.15
