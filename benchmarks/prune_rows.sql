-- Grants as they are after some months: every second one expired long ago, and each has spent many refresh tokens.
-- {grants} grants with {spent} spent tokens each, of the only application and user. Rows are inserted oldest first.
SET session_replication_role = replica; -- do not check each foreign key
INSERT INTO oauth_refresh_grant (
    public_id, application_id, user_id, grant_type, scope, consented, mac_key, generation, access_floor, created_at,
    refreshed_at, idle_expires_at, expires_at, password_fingerprint, retries, user_agent, revoked_reason
)
SELECT
    gen_random_uuid(), a.id, u.id, 'authorization_code', 'notes:read', true, decode(md5(n::text) || md5('k' || n), 'hex'),
    {spent} + 1, {spent} + 1, now() - interval '120 days',
    now() - interval '60 days', now() + (CASE WHEN n % 2 = 0 THEN -40 ELSE 10 END) * interval '1 day', NULL, '', 0,
    'Benchmark/1.0', ''
FROM generate_series(1, {grants}) AS n, oauth_refresh_application AS a, auth_user AS u;

INSERT INTO oauth_refresh_refreshtoken (grant_id, generation, digest, created_at, expires_at, user_agent)
SELECT
    g.id, n, md5(n || ' ' || g.id) || md5(g.id || ' ' || n),
    now() - interval '100 days' + n * interval '1 hour', now() - interval '50 days', 'Benchmark/1.0'
FROM generate_series(1, {spent} + 1) AS n, oauth_refresh_grant AS g
ORDER BY n, g.id;

INSERT INTO oauth_refresh_accesstoken (grant_id, generation, digest, scope, created_at, expires_at)
SELECT
    id, generation - 1, md5('a' || id) || md5('b' || id), scope, now() - interval '61 days', now() - interval '60 days'
FROM oauth_refresh_grant
ORDER BY id;
