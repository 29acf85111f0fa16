-- Filters and projections over one table.

-- shape: a filter
-- key: e_event_id
-- proves: at once; runtime by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, upper(tool) AS tool FROM runtime
WHERE kind = 'tool_call' AND tool <> 'tool0'

-- shape: text, patterns and regular expressions
-- key: e_event_id
-- proves: at once; runtime by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, split_part(content, ' ', 2) AS word FROM runtime
WHERE (content ILIKE '%IGNORE%' OR content LIKE 'see %') AND content ~ '(all|these) [a-z]+' AND NOT regexp_like(tool, '^tool2$')
  AND starts_with(lower(kind), 't') AND character_length(content) BETWEEN 3 AND 200

-- shape: inside JSON
-- key: e_event_id
-- proves: at once; runtime by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, json_text(arguments, 'path') AS path FROM runtime
WHERE json_text(attributes, 'user.level') = 'high' OR TRY_CAST(json_text(attributes, 'n') AS BIGINT) >= 2

-- shape: addresses and networks
-- key: e_event_id
-- proves: at once; identity by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, ip_prefix(ip, 16) AS network FROM identity
WHERE NOT cidr_contains('10.0.0.0/16', ip) AND ip IS NOT NULL

-- shape: time of day and lists
-- key: e_event_id
-- proves: at once; identity by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, array_length(scopes) AS n, date_part('hour', event_time) AS hour FROM identity
WHERE (EXTRACT(MINUTE FROM event_time) BETWEEN 5 AND 50 OR date_part('dow', event_time) IN (0, 6))
  AND (array_has(scopes, 'write') OR array_has_any(scopes, ['admin', 'delete']))

-- shape: numbers and choice
-- key: e_event_id
-- proves: at once; runtime by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id,
       CASE WHEN score >= 0.15 THEN 'high' ELSE 'low' END AS how, round(score * 100) AS percent, input_tokens / nullif(output_tokens, 0) AS ratio
FROM runtime WHERE score > 0.05 AND coalesce(input_tokens, 0) + 5 > 10 AND enforced IS NOT TRUE

-- shape: a key coarser than the row
-- key: principal, bucket
-- proves: at once; runtime by tenant, principal -10m-1us..10m-1us needs 1
SELECT event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, event_id AS e_event_id, tool
FROM runtime WHERE kind <> 'prompt'

-- shape: a row per scope
-- key: e_event_id, scope
-- proves: at once; identity by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id, unnest(scopes) AS scope FROM identity WHERE kind = 'authentication'

-- shape: scopes of a row that one condition picks
-- key: e_event_id, scope
-- proves: at once; identity by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, e_event_id, scope FROM (
  SELECT event_time, tenant, principal, event_id AS e_event_id, unnest(scopes) AS scope FROM identity)
WHERE scope IN ('admin', 'delete')

-- shape: a cast that a record can make fail
-- key: e_event_id
-- refuses: 1:81: W038: `CAST(json_text(runtime.attributes, 'n') AS BIGINT)` fails on some rows (Cannot cast string '' to value of Int64 type), which would stop the rule; write TRY_CAST, which gives NULL where the value doesn't fit
SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE CAST(json_text(attributes, 'n') AS BIGINT) > 2

-- shape: a division that a record can make fail
-- key: e_event_id
-- refuses: 1:94: W038: `runtime.input_tokens / runtime.output_tokens` fails on some rows (Divide by zero error), which would stop the rule; divide by `nullif(divisor, 0)`, which gives NULL where there is nothing to divide by
SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE input_tokens / output_tokens > 20

-- shape: a time in a text
-- key: e_event_id
-- refuses: 1:81: W038: `to_timestamp(json_text(runtime.attributes, 't'))` fails on some rows (Parser error: Error parsing timestamp from '': timestamp must contain at least 10 characters), which would stop the rule; write `TRY_CAST(… AS TIMESTAMP)`, which gives NULL where the text isn't a time
SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE to_timestamp(json_text(attributes, 't')) > event_time

-- shape: a name much like another
-- key: e_event_id
-- proves: at once; runtime by tenant, event_id 0..0 needs 1
SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime
WHERE levenshtein(tool, 'tool1') <= 1 AND levenshtein(left(content, 100), left(tool, 100)) > 3 AND replace(tool, 'tool', '') <> '1'

-- shape: two long texts compared letter by letter
-- key: e_event_id
-- refuses: 1:81: W026: `levenshtein` of two texts of any length takes the product of their lengths; cut one of them, such as `left(content, 100)`, or write a constant
SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE levenshtein(content, arguments) < 10

-- shape: a text put into another many times
-- key: e_event_id
-- refuses: 1:63: W026: `replace` of two texts of any length takes the product of their lengths; cut one of them, such as `left(content, 100)`, or write a constant
SELECT event_time, tenant, principal, event_id AS e_event_id, replace(content, 'a', arguments) AS long FROM runtime
