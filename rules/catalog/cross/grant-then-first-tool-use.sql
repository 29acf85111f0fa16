/*---
id: grant-then-first-tool-use
title: A new consent or role was used at once by an agent that never used the tool before
plane: access
severity: medium
key: [tool_event_id]
frameworks: [ASI03:2026, NHI5:2025, LLM06:2025, T1098.003]
owner: iam
description: >-
  Within half an hour of a consent or a role grant the same principal's agent uses, for the first time in a week, a tool
  of the kind that the grant opens. Privileges made to measure and spent at once are how entitlements are abused.
runbook: >-
  Ask who granted it and why; a change ticket or the user's own set-up of a connector explains it. If neither does, take
  the grant back and review everything that was done under it.
first_move:
  access: Take the grant back and revoke the tokens that were issued since.
tags: [entitlement]
---*/
-- A grant is an entitlement, so the finding belongs to access, whatever made the agent ask for it.
SELECT r.event_time, r.tenant, r.principal, r.session_id, r.agent_id,
       r.event_id AS tool_event_id, g.event_id AS grant_event_id,
       r.tool, g.kind AS granted_by_way_of, g.granted, g.actor AS granted_by, g.client_id
FROM (SELECT event_id, event_time, tenant, kind, principal, actor, client_id,
             lower(concat_ws(' ', array_to_string(scopes, ' '), array_to_string(roles, ' '), resource)) AS granted
      FROM identity
      WHERE kind IN ('consent_granted', 'role_granted')
        AND (outcome IS NULL OR outcome <> 'failure')) g
JOIN runtime r
  ON  r.tenant = g.tenant AND r.principal = g.principal
  AND r.event_time > g.event_time
  AND r.event_time <= g.event_time + INTERVAL '30 minutes'
  -- A tool matches where the grant names it, or where both speak of the same kind of thing.
  AND (   strpos(g.granted, lower(r.tool)) > 0
       OR (g.granted LIKE '%mail%' AND lower(r.tool) LIKE '%mail%')
       OR (g.granted LIKE '%calendar%' AND lower(r.tool) LIKE '%calendar%')
       OR (   (g.granted LIKE '%file%' OR g.granted LIKE '%drive%' OR g.granted LIKE '%document%')
           AND (lower(r.tool) LIKE '%file%' OR lower(r.tool) LIKE '%drive%' OR lower(r.tool) LIKE '%document%'))
       OR (   (g.granted LIKE '%chat%' OR g.granted LIKE '%message%' OR g.granted LIKE '%channel%')
           AND (lower(r.tool) LIKE '%chat%' OR lower(r.tool) LIKE '%message%' OR lower(r.tool) LIKE '%channel%'))
       OR (   (g.granted LIKE '%pay%' OR g.granted LIKE '%transaction%' OR g.granted LIKE '%bank%')
           AND (lower(r.tool) LIKE '%pay%' OR lower(r.tool) LIKE '%transaction%' OR lower(r.tool) LIKE '%money%'))
       OR (   (g.granted LIKE '%user%' OR g.granted LIKE '%directory%' OR g.granted LIKE '%admin%')
           AND (lower(r.tool) LIKE '%user%' OR lower(r.tool) LIKE '%password%' OR lower(r.tool) LIKE '%role%')))
WHERE r.kind = 'tool_call'
  AND r.agent_id IS NOT NULL
  AND NOT EXISTS (
        SELECT 1 FROM runtime p
        WHERE p.tenant = r.tenant AND p.principal = r.principal
          AND p.agent_id = r.agent_id AND p.tool = r.tool
          AND p.kind = 'tool_call'
          AND p.event_time >= r.event_time - INTERVAL '7 days'
          AND p.event_time < r.event_time)
