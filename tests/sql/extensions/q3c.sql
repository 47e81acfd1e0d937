CREATE EXTENSION q3c;

CREATE TABLE stars (id int PRIMARY KEY, ra float8, dec float8);
INSERT INTO stars SELECT g, g % 360, g / 360 - 5 FROM generate_series(0, 3599) g;
CREATE INDEX stars_position ON stars (q3c_ang2ipix(ra, dec));

-- checks

SELECT uses_index('stars_position', 'SELECT FROM stars WHERE q3c_radial_query(ra, dec, 20, 0, 1.1)');
SELECT count_by_index('SELECT FROM stars WHERE q3c_radial_query(ra, dec, 20, 0, 1.1)') = 5;
SELECT round(q3c_dist(0, 0, 90, 0)::numeric, 9) = 90;
