CREATE EXTENSION orafce;

CREATE TABLE staff (name varchar2(20), remark nvarchar2(20), since oracle.date, ends date);
CREATE INDEX staff_name ON staff (name);
CREATE INDEX staff_short ON staff (oracle.substr(name::text, 1, 3));
INSERT INTO staff SELECT 'Name ' || g, 'R' || g, (timestamp '2020-01-01' + make_interval(days => g))::oracle.date, date '2030-01-31'
FROM generate_series(1, 300) g;
CREATE VIEW lengths AS SELECT plvstr.rvrs(name::text) AS reversed, oracle.add_months(ends, 1) AS later, plvstr.left(remark::text, 2) AS remark FROM staff;

-- checks

SELECT uses_index('staff_name', $$SELECT FROM staff WHERE name = 'Name 7'$$);
SELECT count_by_index($$SELECT FROM staff WHERE name = 'Name 7'$$) = 1;
SELECT count_by_index($$SELECT FROM staff WHERE oracle.substr(name::text, 1, 3) = 'Nam'$$) = 300;
SELECT count(*) = 300 FROM lengths WHERE reversed LIKE '%emaN' AND later = date '2030-02-28';
SELECT count(*) = 111 FROM lengths WHERE remark = 'R1';
