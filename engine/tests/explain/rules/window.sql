/*---
id: window
title: A sign-in from another country within the hour
plane: access
severity: medium
key: [signin_event_id]
---*/
SELECT event_time, tenant, principal, signin_event_id, country, earlier
FROM (SELECT i.event_time, i.tenant, i.principal, i.event_id AS signin_event_id, i.country,
             lag(i.country) OVER w AS earlier, lag(i.event_time) OVER w AS earlier_time
      FROM identity i
      WHERE i.kind = 'authentication' AND i.outcome = 'success'
      WINDOW w AS (PARTITION BY i.tenant, i.principal ORDER BY i.event_time, i.event_id))
WHERE country <> earlier AND event_time - earlier_time <= INTERVAL '1 hour'
