/*---
id: sequence
title: A flagged prompt, and then a broader token
plane: both
severity: high
weights: {model: 1.0, access: 1.0}
key: [token_event_id]
---*/
SELECT x.event_time, x.tenant, x.principal, x.session_id,
       x.event_id AS token_event_id, g.event_id AS prompt_event_id, x.scopes
FROM runtime g
JOIN identity x
  ON  x.tenant = g.tenant AND x.session_id = g.session_id
  AND x.event_time > g.event_time
  AND x.event_time <= g.event_time + INTERVAL '10 minutes'
WHERE g.kind = 'guardrail' AND g.verdict IN ('deny', 'escalate')
  AND x.kind = 'token_exchanged' AND array_has(x.scopes, 'admin')
