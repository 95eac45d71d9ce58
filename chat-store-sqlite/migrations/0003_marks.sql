-- What others are shown of a member's read mark since the member read on in private; NULL: `read_seq` and `read_n`.
ALTER TABLE members ADD COLUMN shown_seq INTEGER;
ALTER TABLE members ADD COLUMN shown_n INTEGER;
