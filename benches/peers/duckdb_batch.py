"""The rules of a directory as one batch in DuckDB: reads just the columns that they need, runs each, says how long it took."""

import argparse
import pathlib
import re
import time

import duckdb

TYPES = {"event_time": "TIMESTAMP", "score": "DOUBLE", "latitude": "DOUBLE", "longitude": "DOUBLE", "asn": "BIGINT",
         "enforced": "BOOLEAN", "mfa": "BOOLEAN", "scopes": "VARCHAR[]", "roles": "VARCHAR[]"}
COLUMNS = """event_id event_time tenant source kind session_id agent_id principal client_id credential_id tool target content
outcome verdict category policy country asn risk resource""".split()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--rules", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    rules = {path.stem: re.sub(r"^/\*---.*?---\*/", "", path.read_text(), flags=re.S) for path in sorted(arguments.rules.glob("*.sql"))}
    words = set(re.findall(r"\w+", " ".join(rules.values())))
    columns = {name: TYPES.get(name, "VARCHAR") for name in COLUMNS if name in words or name in ("event_id", "event_time", "tenant")}
    identity = {name: kind for name, kind in columns.items() if name not in ("tool", "target", "content", "verdict", "category", "policy")}
    runtime = {name: kind for name, kind in columns.items() if name not in ("country", "asn", "risk", "resource")}

    started = time.perf_counter()
    connection = duckdb.connect()
    connection.execute(f"SET threads = {arguments.threads}")
    connection.execute("CREATE MACRO date_bin(width, moment) AS time_bucket(width, moment, TIMESTAMP '1970-01-01')")
    for table, wanted in (("runtime", runtime), ("identity", identity)):
        listed = ", ".join(f"{name}: '{kind}'" for name, kind in wanted.items())
        connection.execute(
            f"CREATE TABLE {table} AS SELECT * FROM read_json('{arguments.directory / (table + '.jsonl')}', "
            f"format = 'newline_delimited', columns = {{{listed}}})")
    counts = {name: len(connection.execute(sql).fetchall()) for name, sql in rules.items()}
    seconds = time.perf_counter() - started
    for name, count in counts.items():
        print(f"{name} {count}")
    print(f"RESULT {seconds}")


main()
