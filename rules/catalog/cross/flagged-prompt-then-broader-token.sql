/*---
id: flagged-prompt-then-broader-token
title: After a flagged prompt the session exchanged its token for a broader one
plane: both
severity: critical
key: [exchange_event_id]
frameworks: [ASI01:2026, ASI03:2026, LLM01:2025, NHI5:2025, AML.T0051, AML.T0091.000]
weights: {model: 1.0, access: 1.0}
description: >-
  A guardrail flags a prompt, and within a quarter of an hour the same session exchanges its token for one with scopes
  that no token of the session had. Text has been turned into privileges: both teams have work to do, at the same time.
runbook: >-
  The injected text is the cause and the token is the damage. Look for other uses of the new token, also by other agents,
  and for other sessions that met the same text.
first_move:
  model: Pause the agent's session and keep the flagged prompt; do not let the agent continue with the new token.
  access: Revoke the exchanged token and refuse further exchanges of this session.
tags: [injection, escalation]
---*/
-- "Broader" is judged against the session's own tokens: one of them must be known, and none may have had it all already.
-- Routine renewals of a broad token therefore stay silent.
SELECT x.event_time, x.tenant, x.principal, x.session_id, x.agent_id,
       x.event_id AS exchange_event_id, g.event_id AS guardrail_event_id,
       g.category, g.verdict, g.detector, x.credential_id, x.client_id, x.audience, x.scopes
FROM runtime g
JOIN identity x
  ON  x.tenant = g.tenant AND x.session_id = g.session_id
  AND x.event_time > g.event_time
  AND x.event_time <= g.event_time + INTERVAL '15 minutes'
WHERE g.kind IN ('guardrail', 'prompt')
  AND g.category IN ('prompt_injection', 'jailbreak', 'data_poisoning')
  AND (g.verdict IN ('deny', 'escalate', 'modify') OR (g.verdict = 'warn' AND COALESCE(g.score, 1.0) >= 0.5))
  AND x.kind = 'token_exchanged'
  AND (x.outcome IS NULL OR x.outcome <> 'failure')
  AND x.scopes IS NOT NULL
  AND EXISTS (
        SELECT 1 FROM identity b
        WHERE b.tenant = x.tenant AND b.session_id = x.session_id
          AND b.kind IN ('token_issued', 'token_refreshed', 'token_exchanged')
          AND (b.outcome IS NULL OR b.outcome <> 'failure')
          AND b.scopes IS NOT NULL
          AND b.event_time >= x.event_time - INTERVAL '12 hours'
          AND b.event_time < x.event_time)
  AND NOT EXISTS (
        SELECT 1 FROM identity e
        WHERE e.tenant = x.tenant AND e.session_id = x.session_id
          AND e.kind IN ('token_issued', 'token_refreshed', 'token_exchanged')
          AND (e.outcome IS NULL OR e.outcome <> 'failure')
          AND array_has_all(e.scopes, x.scopes)
          AND e.event_time >= x.event_time - INTERVAL '12 hours'
          AND e.event_time < x.event_time)
