/*---
id: country-changed
title: A sign-in from another country within the hour
plane: access
severity: medium
key: [signin_event_id]
---*/
SELECT event_time, tenant, principal, session_id, event_id AS signin_event_id, country, before
FROM (SELECT event_time, tenant, principal, session_id, event_id, country,
             lag(country) OVER (PARTITION BY tenant, principal ORDER BY event_time NULLS LAST, event_id NULLS LAST) AS before,
             lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time NULLS LAST, event_id NULLS LAST) AS since
      FROM identity
      WHERE kind = 'authentication' AND outcome = 'success') steps
WHERE country <> before AND event_time - since <= INTERVAL '1 hour'
