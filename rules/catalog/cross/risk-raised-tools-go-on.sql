/*---
id: risk-raised-tools-go-on
title: Tools are still being called in a session whose identity became a high risk
plane: access
severity: high
key: [tool_event_id]
frameworks: [ASI03:2026, NHI4:2025, AML.T0012, T1078.004]
owner: iam
description: >-
  The identity provider raised the risk of a session to high, and within the next hour an agent goes on calling tools in
  it. The provider knows that something is wrong; what runs on the session's authority does not.
runbook: >-
  Find out why the session was not ended: continuous access evaluation stops at the agent platform more often than not.
  Review the calls made since the risk was raised.
first_move:
  access: End the session at the identity provider and revoke the tokens that the agent got through it.
tags: [risk]
---*/
SELECT r.event_time, r.tenant, r.principal, r.session_id, r.agent_id,
       r.event_id AS tool_event_id, i.event_id AS risk_event_id,
       r.tool, i.principal AS risk_principal, i.risk, i.reason
FROM identity i
JOIN runtime r
  ON  r.tenant = i.tenant AND r.session_id = i.session_id
  AND r.event_time > i.event_time
  AND r.event_time <= i.event_time + INTERVAL '1 hour'
WHERE i.kind = 'risk_changed'
  AND i.risk IN ('high', 'critical')
  AND r.kind = 'tool_call'
  -- A step-up or an analyst brought it down again before the call was made.
  AND NOT EXISTS (
        SELECT 1 FROM identity l
        WHERE l.tenant = r.tenant AND l.session_id = r.session_id
          AND l.kind = 'risk_changed'
          AND l.risk IN ('info', 'low', 'medium')
          AND l.event_time > i.event_time
          AND l.event_time <= r.event_time
          AND l.event_time >= r.event_time - INTERVAL '1 hour')
