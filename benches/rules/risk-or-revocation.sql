/*---
id: risk-or-revocation
title: Risk raised or a token revoked, then a tool
plane: access
severity: medium
key: [tool_event_id]
---*/
SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id AS tool_event_id, s.event_id AS state_event_id
FROM (SELECT event_time, tenant, principal, event_id FROM identity WHERE kind = 'risk_changed' AND risk = 'high'
      UNION ALL
      SELECT event_time, tenant, principal, event_id FROM identity WHERE kind = 'session_revoked') s
JOIN runtime r
  ON  r.tenant = s.tenant AND r.principal = s.principal
  AND r.event_time > s.event_time AND r.event_time <= s.event_time + INTERVAL '15 minutes'
WHERE r.kind = 'tool_call'
