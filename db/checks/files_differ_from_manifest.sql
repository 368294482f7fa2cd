-- Question: which loaded files differ from their description in the manifest?
-- Key: file.
-- Title: Every loaded file matches the manifest
-- Severity: warning
SELECT
    submission_meta.subject AS file,
    submission_meta.value AS manifest
FROM submission_meta
WHERE
    submission_meta.property = 'manifest'
    AND submission_meta.value = 'differs'
ORDER BY file;
