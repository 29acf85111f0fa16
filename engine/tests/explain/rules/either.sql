/*---
id: either
title: A call soon after a grant or a refusal
plane: access
severity: medium
key: [call_event_id]
---*/
SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id AS call_event_id
FROM runtime r
WHERE r.kind = 'tool_call'
  AND (EXISTS (
        SELECT 1 FROM identity g
        WHERE g.tenant = r.tenant AND g.principal = r.principal AND g.kind = 'role_granted'
          AND g.event_time BETWEEN r.event_time - INTERVAL '1 hour' AND r.event_time)
    OR EXISTS (
        SELECT 1 FROM identity d
        WHERE d.tenant = r.tenant AND d.principal = r.principal AND d.kind = 'access_denied'
          AND d.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time))
