/*---
id: failure-burst
title: Many failed sign-ins in ten minutes
plane: access
severity: medium
key: [tenant, principal, bucket]
---*/
SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
       count(*) AS failures
FROM identity
WHERE kind = 'authentication' AND outcome = 'failure'
GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time)
HAVING count(*) >= 5
