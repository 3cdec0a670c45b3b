-- The archive as a table of Amazon Athena (the Glue Data Catalog keeps it). Put your bucket, and the prefix if it is
-- another one than THERMOGRAPH_S3_PREFIX's default, in the two LOCATIONs; run both statements in Athena's query editor.
-- Nothing has to be crawled, no partition added: each day's folder follows from the day.

CREATE DATABASE IF NOT EXISTS thermograph;

CREATE EXTERNAL TABLE IF NOT EXISTS thermograph.readings (
  `device`   string    COMMENT 'the board',
  `stream`   string    COMMENT 'one life of its Outbox',
  `seq`      bigint    COMMENT 'device, stream and seq name a reading',
  `sensor`   string    COMMENT 'with unit: the channel',
  `unit`     string    COMMENT 'as SenML names it: Cel, %RH, Pa',
  `t`        timestamp COMMENT 'when it was sampled, UTC',
  `tq`       string    COMMENT 'quality of t: ntp, rtc, estimated',
  `value`    double    COMMENT 'null where there is a fault',
  `fault`    string    COMMENT 'null where there is a value',
  `received` timestamp COMMENT 'when it reached the backend, UTC'
)
PARTITIONED BY (`day` string COMMENT 'UTC day of t; name it in WHERE, or every day is read and paid for')
STORED AS PARQUET
LOCATION 's3://BUCKET/readings/'
TBLPROPERTIES (
  'projection.enabled'        = 'true',
  'projection.day.type'       = 'date',
  'projection.day.format'     = 'yyyy-MM-dd',
  'projection.day.range'      = '2020-01-01,NOW+1DAYS',
  'storage.location.template' = 's3://BUCKET/readings/day=${day}/'
);

-- While a day is being joined, both its small objects and the one made of them are there for up to an hour. DISTINCT
-- counts each reading once at any time:
--
--   SELECT device, sensor, unit, min(value), avg(value), max(value)
--   FROM (SELECT DISTINCT * FROM thermograph.readings WHERE day BETWEEN '2026-01-01' AND '2026-01-31')
--   GROUP BY device, sensor, unit;
