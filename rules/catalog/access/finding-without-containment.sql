/*---
id: finding-without-containment
title: Nobody ended a principal's access within a quarter of an hour after it was found to be misused
plane: access
severity: high
key: [principal, finding_rule, finding_time]
frameworks: [ASI03:2026, NHI1:2025, T1078]
owner: iam
description: >-
  An access rule found that a principal's access is misused, and a quarter of an hour later no session was ended, no token
  revoked and no credential changed. Either nobody saw the finding, or what should have followed it failed.
runbook: >-
  Look whether somebody has taken the finding up. If so, find out why the identity provider has no trace of it; if not, do
  what its own runbook says now.
first_move:
  access: End every session of the principal and revoke its tokens.
tags: [containment]
---*/
-- It reads what other rules say, and waits until nothing that would have contained it can come any more.
SELECT s.event_time, s.tenant, s.principal, s.rule AS finding_rule, s.event_time AS finding_time,
       coalesce(json_text(s.key, 'use_event_id'), json_text(s.key, 'signin_event_id')) AS finding_event_id,
       s.severity AS finding_severity
FROM signals s
WHERE s.rule IN ('deactivated-account-active', 'failed-sign-ins-then-success', 'token-used-after-revocation')
  AND s.principal IS NOT NULL
  AND NOT EXISTS (
        SELECT 1 FROM identity c
        WHERE c.tenant = s.tenant AND c.principal = s.principal
          AND c.kind IN ('session_revoked', 'token_revoked', 'credential_rotated', 'credential_deleted',
                         'account_deactivated', 'account_deleted')
          AND (c.outcome IS NULL OR c.outcome <> 'failure')
          AND c.event_time > s.event_time
          AND c.event_time <= s.event_time + INTERVAL '15 minutes')
