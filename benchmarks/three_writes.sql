-- The writes of a refresh. Each client has a grant of its own. (A colon in a literal would start a variable.)
\set generation :start + :counter
\set counter :counter + 1
BEGIN;
UPDATE oauth_refresh_grant
    SET generation = :generation + 1, refreshed_at = now(), idle_expires_at = now() + interval '14 days',
        access_floor = :generation + 1, retry_slots = NULL, retries = 0
    WHERE id = :client_id + 1 AND generation = :generation AND revoked_at IS NULL;
INSERT INTO oauth_refresh_refreshtoken (grant_id, generation, digest, created_at, expires_at, address, user_agent)
    VALUES (:client_id + 1, :generation + 1, encode(sha256(('r' || :client_id || ' ' || :generation)::bytea), 'hex'),
        now(), now() + interval '14 days', '127.0.0.1', 'benchmark');
INSERT INTO oauth_refresh_accesstoken (grant_id, generation, digest, scope, audience, created_at, expires_at)
    VALUES (:client_id + 1, :generation + 1, encode(sha256(('a' || :client_id || ' ' || :generation)::bytea), 'hex'),
        'notes_read', '', now(), now() + interval '1 hour');
COMMIT;
