/*---
id: access-finding-then-model-finding
title: What a principal's agents do is flagged within half an hour after how the principal got in was
plane: both
severity: critical
key: [principal, access_rule, model_rule, model_time]
frameworks: [ASI03:2026, ASI02:2026, NHI2:2025, AML.T0091.000, T1078]
description: >-
  An access rule found something about a principal, and within half an hour a model rule finds something about the same
  principal. Each alone has an innocent reading; one after the other they are an account that was taken and is being used
  through its agents.
runbook: >-
  Begin with the access finding: it is the way in. Then go through what the agents did from there on; the model finding is
  the first of it that a control has seen, not the first of it.
first_move:
  model: Pause the agents that act for the principal until its access has been contained.
  access: End the principal's sessions and revoke its tokens; the credential is in use by somebody else.
weights: {model: 1.0, access: 1.0}
tags: [sequence]
---*/
-- It reads what other rules say. They are named one by one: a new rule belongs here only where its findings are about
-- somebody, and about how they got in or what they did.
SELECT m.event_time, m.tenant, m.principal, a.rule AS access_rule, m.rule AS model_rule, m.event_time AS model_time,
       coalesce(json_text(a.key, 'use_event_id'), json_text(a.key, 'signin_event_id')) AS access_event_id,
       coalesce(json_text(m.key, 'result_event_id'), json_text(m.key, 'tool_event_id'),
                json_text(m.key, 'allow_event_id'), json_text(m.key, 'outbound_event_id')) AS model_event_id,
       a.event_time AS access_time, a.session_id AS access_session, m.session_id AS model_session
FROM signals a
JOIN signals m
  ON  m.tenant = a.tenant AND m.principal = a.principal
  AND m.event_time > a.event_time
  AND m.event_time <= a.event_time + INTERVAL '30 minutes'
WHERE a.rule IN ('deactivated-account-active', 'failed-sign-ins-then-success', 'service-account-new-network',
                 'token-used-after-revocation')
  AND m.rule IN ('denied-action-went-through', 'first-tool-use-then-outbound',
                 'indirect-injection-then-sensitive-tool', 'repeated-denials-then-allow')
