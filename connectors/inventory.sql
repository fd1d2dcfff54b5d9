-- The inventory that placement reads, and what its capture needs. Run it as the owner, as often as you like:
--   psql -v ON_ERROR_STOP=1 -f inventory.sql
CREATE SCHEMA IF NOT EXISTS inventory;

CREATE TABLE IF NOT EXISTS inventory.entity (
    id text PRIMARY KEY, -- type:scope/name, as in volume:svm1/flexvol7
    type text NOT NULL,
    name text NOT NULL,
    component text NOT NULL,
    attributes jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS inventory.relation (
    from_id text NOT NULL,
    to_id text NOT NULL,
    kind text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (from_id, to_id, kind)
);

CREATE TABLE IF NOT EXISTS inventory.schedule (
    id text PRIMARY KEY,
    entity_id text NOT NULL,
    expression text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    command text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- The connector writes here, so that time moves on in the topic while nothing else changes, and so that its slot moves
-- on while only other databases of the server do.
CREATE TABLE IF NOT EXISTS inventory.heartbeat (
    id int PRIMARY KEY,
    at timestamptz NOT NULL
);
INSERT INTO inventory.heartbeat VALUES (1, now()) ON CONFLICT (id) DO NOTHING;

-- A row here asks the running connector for a snapshot; docs/connect.md has the statement.
CREATE TABLE IF NOT EXISTS inventory.signal (
    id text PRIMARY KEY,
    type text NOT NULL,
    data text
);

-- A change then carries the whole row as it was. Of a delete, and of a large value that did not change, the log has
-- placeholders otherwise.
ALTER TABLE inventory.entity REPLICA IDENTITY FULL;
ALTER TABLE inventory.relation REPLICA IDENTITY FULL;
ALTER TABLE inventory.schedule REPLICA IDENTITY FULL;

-- What the connector reads. It exists before the connector does, whose role need not own the tables then.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'afoot_inventory') THEN
        CREATE PUBLICATION afoot_inventory;
    END IF;
END
$$;
ALTER PUBLICATION afoot_inventory
    SET TABLE inventory.entity, inventory.relation, inventory.schedule, inventory.heartbeat, inventory.signal;
