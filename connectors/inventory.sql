-- The inventory that placement reads. Fill it from a CMDB; every change becomes an event.
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

-- The connector writes here, so that time moves on in the topic while nothing else changes.
CREATE TABLE IF NOT EXISTS inventory.heartbeat (
    id int PRIMARY KEY,
    at timestamptz NOT NULL
);

-- A delete then carries the whole row that went, and an update the row before it.
ALTER TABLE inventory.entity REPLICA IDENTITY FULL;
ALTER TABLE inventory.relation REPLICA IDENTITY FULL;
ALTER TABLE inventory.schedule REPLICA IDENTITY FULL;
