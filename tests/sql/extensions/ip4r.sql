CREATE EXTENSION ip4r;

CREATE TABLE networks (id int PRIMARY KEY, v4 ip4r, v6 ip6r, either iprange, host ip4);
INSERT INTO networks
SELECT g, format('10.%s.%s.0/24', g / 256, g % 256)::ip4r, format('2001:db8:%s::/48', to_hex(g))::ip6r,
    format('10.%s.%s.0/24', g / 256, g % 256)::iprange, format('10.0.0.%s', g % 256)::ip4
FROM generate_series(1, 600) g;
CREATE INDEX networks_v4 ON networks USING gist (v4);
CREATE INDEX networks_v6 ON networks USING gist (v6);
CREATE INDEX networks_either ON networks USING gist (either);
CREATE INDEX networks_host ON networks (host);

-- checks

SELECT uses_index('networks_v4', $$SELECT FROM networks WHERE v4 >>= '10.1.5.77'$$);
SELECT count_by_index($$SELECT FROM networks WHERE v4 >>= '10.1.5.77'$$) = 1;
SELECT uses_index('networks_v6', $$SELECT FROM networks WHERE v6 >>= '2001:db8:101::1'$$);
SELECT count_by_index($$SELECT FROM networks WHERE v6 >>= '2001:db8:101::1'$$) = 1;
SELECT count_by_index($$SELECT FROM networks WHERE either <<= '10.2.0.0/16'$$) = 89;
SELECT count_by_index($$SELECT FROM networks WHERE host = '10.0.0.9'$$) = 3;
