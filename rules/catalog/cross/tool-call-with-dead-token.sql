/*---
id: tool-call-with-dead-token
title: Agent called a tool with a revoked or expired token
plane: access
severity: high
key: [tool_event_id]
frameworks: [ASI03:2026, NHI1:2025, NHI7:2025, AML.T0091.000, T1550.001]
owner: iam
description: >-
  The credential of a tool call was revoked, or its lifetime was over, when the call was made. The tool server does not
  check what it is shown, and whoever holds the token keeps what the revocation was meant to take.
runbook: >-
  Find the tool server that accepted the token and make it check revocation and expiry. Compare agent and session of the
  call with those that the token was issued to.
first_move:
  access: Revoke every token of the principal and block the credential at the tool server or gateway.
tags: [token]
---*/
-- The agent's own behaviour may be flawless: what is broken is access, hence the plane.
SELECT r.event_time, r.tenant, r.principal, r.session_id, r.agent_id,
       r.event_id AS tool_event_id, i.event_id AS token_event_id,
       r.tool, r.target, r.credential_id, i.kind AS token_event, i.principal AS token_principal, i.expires_at
FROM runtime r
JOIN identity i
  ON  i.tenant = r.tenant AND i.credential_id = r.credential_id
  AND r.event_time > i.event_time
  AND r.event_time <= i.event_time + INTERVAL '24 hours'
  -- A credential id names one token, so its end does not move: a refreshed token is another one.
  AND (i.kind = 'token_revoked' OR r.event_time > i.expires_at)
WHERE r.kind = 'tool_call'
  AND (r.outcome IS NULL OR r.outcome <> 'failure')
  AND i.kind IN ('token_revoked', 'token_issued', 'token_exchanged', 'token_refreshed')
  AND (i.outcome IS NULL OR i.outcome <> 'failure')
