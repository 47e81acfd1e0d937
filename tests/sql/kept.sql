-- A table whose rows must survive.
CREATE TABLE kept (id int PRIMARY KEY, t text);

INSERT INTO kept SELECT g, md5(g::text) FROM generate_series(1, 5000) g;
