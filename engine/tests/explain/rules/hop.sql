/*---
id: hop
title: Many failed sign-ins within ten minutes, wherever they begin
plane: access
severity: medium
key: [principal, bucket]
---*/
SELECT max(f.event_time) AS event_time, f.tenant, f.principal, f.bucket,
       array_agg(f.event_id) AS failure_event_ids, COUNT(*) AS failures
FROM (SELECT i.event_time, i.event_id, i.tenant, i.principal, i.country,
             unnest(hop(i.event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')) AS bucket
      FROM identity i
      WHERE i.kind = 'authentication' AND i.outcome = 'failure') f
GROUP BY f.tenant, f.principal, f.bucket
HAVING COUNT(DISTINCT f.country) >= 3
