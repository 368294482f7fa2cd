-- Question: which files were loaded without a description in a manifest?
-- Key: file.
-- Title: Files that no manifest describes
-- Severity: info
SELECT
    submission_meta.subject AS file,
    submission_meta.value AS manifest
FROM submission_meta
WHERE
    submission_meta.property = 'manifest'
    AND submission_meta.value IN ('absent', 'unlisted')
ORDER BY file;
