-- Question: which loaded files were not compared with a manifest?
-- Key: file.
-- Title: Files that were not compared with a manifest
-- Severity: info
SELECT
    submission_meta.subject AS file,
    submission_meta.value AS manifest
FROM submission_meta
WHERE
    submission_meta.property = 'manifest'
    AND submission_meta.value NOT IN ('matches', 'differs')
ORDER BY file;
