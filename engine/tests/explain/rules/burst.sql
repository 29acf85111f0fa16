/*---
id: burst
title: Many failed sign-ins from more than one country
plane: access
severity: medium
key: [principal, bucket]
---*/
SELECT max(i.event_time) AS event_time, i.tenant, i.principal,
       date_bin(INTERVAL '15 minutes', i.event_time) AS bucket,
       array_agg(i.event_id) AS failure_event_ids, COUNT(*) AS failures
FROM identity i
WHERE i.kind = 'authentication' AND i.outcome = 'failure'
GROUP BY i.tenant, i.principal, date_bin(INTERVAL '15 minutes', i.event_time)
HAVING COUNT(*) >= 4 AND COUNT(DISTINCT i.country) >= 2
