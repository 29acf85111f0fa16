-- Sessions, entities, and rules without a key.

-- shape: a session in buckets
-- key: session_id, bucket
-- proves: at once; runtime by tenant, session_id -720m-1us..720m-1us needs 3; warns W045
SELECT max(event_time) AS event_time, tenant, session_id, date_bin(INTERVAL '12 hours', event_time) AS bucket, count(*) AS n
FROM runtime GROUP BY tenant, session_id, date_bin(INTERVAL '12 hours', event_time) HAVING count(*) >= 3

-- shape: a session from its start
-- key: start_event_id
-- proves: at once; identity s by tenant, session_id -12m..0 needs 1; runtime r by tenant, session_id -12m..12m needs 1
SELECT max(r.event_time) AS event_time, s.tenant, s.session_id, s.event_id AS start_event_id, count(*) AS calls
FROM identity s JOIN runtime r ON r.tenant = s.tenant AND r.session_id = s.session_id
 AND r.event_time BETWEEN s.event_time AND s.event_time + INTERVAL '12 minutes'
WHERE s.kind = 'authentication' GROUP BY s.tenant, s.session_id, s.event_id, s.event_time HAVING count(*) >= 2

-- shape: a session from its start, by its id and its time
-- key: session_id, started
-- proves: at once; identity s by tenant, session_id -12m..0 needs 1; runtime r by tenant, session_id -12m..12m needs 1; warns W045
SELECT max(r.event_time) AS event_time, s.tenant, s.session_id, s.event_time AS started, count(DISTINCT r.tool) AS tools
FROM identity s JOIN runtime r ON r.tenant = s.tenant AND r.session_id = s.session_id
 AND r.event_time BETWEEN s.event_time AND s.event_time + INTERVAL '12 minutes'
GROUP BY s.tenant, s.session_id, s.event_time HAVING count(DISTINCT r.tool) >= 2

-- shape: a session without an end
-- key: start_event_id
-- proves: waits for identity 10m (NOT EXISTS waits until no `identity e` can come any more); identity s by tenant, session_id 0..0 needs 1; identity e by tenant, session_id 0..10m
SELECT s.event_time, s.tenant, s.session_id, s.event_id AS start_event_id FROM identity s
WHERE s.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM identity e WHERE e.tenant = s.tenant AND e.session_id = s.session_id
  AND e.kind = 'token_revoked' AND e.event_time BETWEEN s.event_time AND s.event_time + INTERVAL '10 minutes')

-- shape: more than one principal in a session
-- key: session_id, bucket
-- proves: at once; runtime by tenant, session_id -10m-1us..10m-1us needs 2; warns W045
SELECT max(event_time) AS event_time, tenant, session_id, date_bin(INTERVAL '10 minutes', event_time) AS bucket
FROM runtime WHERE session_id IS NOT NULL GROUP BY tenant, session_id, date_bin(INTERVAL '10 minutes', event_time) HAVING count(DISTINCT principal) > 1

-- shape: a global count
-- key: bucket
-- proves: at once; identity by tenant -5m-1us..5m-1us needs 4; warns W045; warns W044; warns W052
SELECT max(event_time) AS event_time, tenant, max(principal) AS principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, count(*) AS n
FROM identity GROUP BY tenant, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) >= 4

-- shape: across tenants
-- key: r_event_id
-- proves: at once; runtime r by credential_id 0..0 needs 1; identity i by credential_id -10m..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.tenant AS other
FROM runtime r JOIN identity i ON i.credential_id = r.credential_id AND i.tenant <> r.tenant
 AND i.event_time BETWEEN r.event_time - INTERVAL '10 minutes' AND r.event_time

-- shape: a session alone
-- key: session_id
-- refuses: 1:47: W043: the key determines neither an event nor a time bucket, so its findings would have to be remembered for ever; add a bucket such as `date_bin(INTERVAL '15 minutes', event_time) AS bucket` to the key, or join the session's start within a bound, such as `r.event_time BETWEEN s.event_time AND s.event_time + INTERVAL '12 hours'`, and add its event's id
SELECT max(event_time) AS event_time, tenant, session_id, count(*) AS n FROM runtime GROUP BY tenant, session_id HAVING count(*) >= 3

-- shape: a session from any start
-- key: session_id
-- refuses: 1:34: W043: the key determines neither an event nor a time bucket, so its findings would have to be remembered for ever; add a bucket such as `date_bin(INTERVAL '15 minutes', event_time) AS bucket` to the key, or join the session's start within a bound, such as `r.event_time BETWEEN s.event_time AND s.event_time + INTERVAL '12 hours'`, and add its event's id
SELECT r.event_time, r.tenant, r.session_id, r.event_id AS r_event_id
FROM identity s JOIN runtime r ON r.tenant = s.tenant AND r.session_id = s.session_id
 AND r.event_time BETWEEN s.event_time AND s.event_time + INTERVAL '12 hours'
