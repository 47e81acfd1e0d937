CREATE EXTENSION postgis;
CREATE EXTENSION postgis_raster;
CREATE EXTENSION postgis_sfcgal;
CREATE EXTENSION postgis_topology;
CREATE EXTENSION fuzzystrmatch;
CREATE EXTENSION postgis_tiger_geocoder;
CREATE EXTENSION address_standardizer;

CREATE TABLE places (id int PRIMARY KEY, point geometry(Point, 4326), around geography(Polygon));
INSERT INTO places
SELECT g, ST_SetSRID(ST_MakePoint(g % 90, g / 90), 4326), ST_Buffer(ST_SetSRID(ST_MakePoint(g % 90, g / 90), 4326)::geography, 1000)
FROM generate_series(0, 1799) g;
CREATE INDEX places_point ON places USING gist (point);
CREATE INDEX places_around ON places USING gist (around);
CREATE INDEX places_brin ON places USING brin (point);
CREATE INDEX places_spgist ON places USING spgist (point);
CREATE VIEW in_metres AS SELECT id, ST_Transform(point, 3857) AS point FROM places;
CREATE MATERIALIZED VIEW extents AS SELECT id % 10 AS part, ST_Extent(point)::geometry AS extent, ST_Union(point) AS points FROM places GROUP BY 1;
CREATE INDEX extents_extent ON extents USING gist (extent);

CREATE TABLE tiles (id int PRIMARY KEY, tile raster);
INSERT INTO tiles
SELECT g, ST_AddBand(ST_MakeEmptyRaster(10, 10, g * 10, 0, 1, -1, 0, 0, 4326), '8BUI'::text, g, 0) FROM generate_series(1, 20) g;
CREATE INDEX tiles_hull ON tiles USING gist (ST_ConvexHull(tile));
SELECT AddRasterConstraints('tiles'::name, 'tile'::name);

SELECT topology.CreateTopology('town', 4326);
CREATE TABLE parcels (id int PRIMARY KEY);
SELECT topology.AddTopoGeometryColumn('town', 'public', 'parcels', 'area', 'POLYGON');

INSERT INTO parcels (id, area)
SELECT g, topology.toTopoGeom(ST_MakeEnvelope(g, 0, g + 1, 1, 4326), 'town', 1) FROM generate_series(1, 5) g;

-- checks

SELECT uses_index('places_point', 'SELECT FROM places WHERE point && ST_MakeEnvelope(10, 5, 12, 6, 4326)')
    OR uses_index('places_spgist', 'SELECT FROM places WHERE point && ST_MakeEnvelope(10, 5, 12, 6, 4326)');
SELECT count_by_index('SELECT FROM places WHERE ST_Intersects(point, ST_MakeEnvelope(10, 5, 12, 6, 4326))') = 6;
SELECT uses_index('places_around', $$SELECT FROM places WHERE around && 'POINT(10 5)'::geography$$);
SELECT count_by_index($$SELECT FROM places WHERE ST_DWithin(around, 'POINT(10 5)'::geography, 500)$$) = 1;
SELECT count(*) = 10 AND sum(ST_NPoints(points)) = 1800 FROM extents;
SELECT round(ST_X(point)) = 1113195 FROM in_metres WHERE id = 10;
SELECT sum((ST_SummaryStats(tile)).sum) = 21000 FROM tiles;
SELECT uses_index('tiles_hull', 'SELECT FROM tiles WHERE ST_ConvexHull(tile) && ST_MakeEnvelope(12, -3, 13, -2, 4326)');
SELECT srid = 4326 AND scale_x = 1 FROM raster_columns WHERE r_table_name = 'tiles';
SELECT sum(ST_Area(area::geometry)) = 5 FROM parcels;
SELECT count(*) = 5 FROM town.face WHERE face_id > 0;
SELECT round(ST_Area(ST_MinkowskiSum('LINESTRING(0 0, 1 0)', 'POLYGON((0 0, 0 1, 1 1, 1 0, 0 0))'))::numeric, 6) = 2;
SELECT count(*) > 6000 FROM spatial_ref_sys;
