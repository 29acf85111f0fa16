/*---
id: attribution-of-tool-calls
title: What authorised each tool call
plane: access
severity: info
key: [tool_event_id]
owner: iam
description: >-
  Not a finding: each tool call with how far it can be tied to a credential and an account, for the count that `replay --attribution`
  shows.
---*/
SELECT c.event_time, c.tenant, c.principal, c.session_id, c.event_id AS tool_event_id, c.attribution, c.missing
FROM tool_calls c
