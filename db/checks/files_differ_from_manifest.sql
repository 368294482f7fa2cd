-- Question: which loaded files are not the files that the manifest describes?
-- Key: file.
-- Title: Every loaded file is the one in the manifest
-- Severity: warning
SELECT
    submission_meta.subject AS file,
    submission_meta.value AS manifest
FROM submission_meta
WHERE
    submission_meta.property = 'manifest'
    AND submission_meta.value = 'differs'
ORDER BY submission_meta.subject;
