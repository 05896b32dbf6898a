/*
 * FIELD(number, symbol, name, type): every value that travels or lasts. Included many times.
 * Numbers are for ever (docs/format.md). Add rows at the end of their block; never renumber.
 */

/* 1-29: the record itself */
FIELD(1, POSITION, position, UINT)            /* log position */
FIELD(2, KIND, kind, TEXT)                    /* "dicom", "hl7", "fact", "event" */
FIELD(3, STATE, state, TEXT)                  /* stored, alternate, conflict, refused, not-understood */
FIELD(4, RECEIVED, received, UINT)            /* wall_us at receipt */
FIELD(5, BODY_BYTES, body_bytes, UINT)
FIELD(6, SOURCE, source, TEXT)                /* [peer X] or [sender X] name in fanal.conf */
FIELD(7, ADDRESS, address, TEXT)              /* numeric address of the other side */
FIELD(8, FIRST_POSITION, first_position, UINT) /* of an alternate or conflict: what is served */
FIELD(9, BODY_CLASS, body_class, UINT)        /* enum body_class */
FIELD(10, UNIT, unit, TEXT)                   /* erasure unit, e.g. "study:1.2.3" */
FIELD(11, REASON, reason, TEXT)               /* why a state or refusal is what it is, no patient data */
FIELD(12, FACT, fact, TEXT)                   /* name of a fact: docs/format.md lists them */
FIELD(13, EVENT, event, TEXT)                 /* name of an event: docs/log-events.md lists them */
FIELD(14, ACTOR, actor, TEXT)                 /* who: user name, AE title, sender, "fanal" */
FIELD(15, DETAIL, detail, TEXT)
FIELD(16, OUTCOME, outcome, TEXT)             /* "success", "refused", "failed" */

/* 30-49: patient (PS3.3 C.7.1.1, HL7 PID) */
FIELD(30, PATIENT_ID, patient_id, TEXT)       /* empty: provisional */
FIELD(31, ISSUER, issuer, TEXT)               /* assigning authority, or the source's issuer */
FIELD(32, PATIENT_NAME, patient_name, TEXT)   /* UTF-8, components with ^, groups with = */
FIELD(33, BIRTH_DATE, birth_date, TEXT)       /* YYYYMMDD as far as known */
FIELD(34, SEX, sex, TEXT)                     /* M F O, as sent else */
FIELD(35, PATIENT_KEY, patient_key, TEXT)     /* view key of a patient; opaque to gates */
FIELD(36, OTHER_ID, other_id, GROUP)          /* {patient_id, issuer, id_type} */
FIELD(37, ID_TYPE, id_type, TEXT)             /* PID-3.5: PI, NH, INS … */
FIELD(38, PRIOR, prior, GROUP)                /* MRG / link: {patient_id, issuer} that ends here */
FIELD(39, DISCREPANCY, discrepancy, TEXT)     /* birth_date, sex or patient_name differs from first */

/* 50-79: study and series (PS3.3 C.7.2.1, C.7.3.1) */
FIELD(50, STUDY_UID, study_uid, TEXT)
FIELD(51, SERIES_UID, series_uid, TEXT)
FIELD(52, ACCESSION, accession, TEXT)
FIELD(53, STUDY_DATE, study_date, TEXT)
FIELD(54, STUDY_TIME, study_time, TEXT)
FIELD(55, STUDY_DESCRIPTION, study_description, TEXT)
FIELD(56, STUDY_ID, study_id, TEXT)
FIELD(57, REFERRING_PHYSICIAN, referring_physician, TEXT)
FIELD(58, MODALITY, modality, TEXT)
FIELD(59, SERIES_NUMBER, series_number, TEXT)
FIELD(60, SERIES_DESCRIPTION, series_description, TEXT)
FIELD(61, BODY_PART, body_part, TEXT)
FIELD(62, LATERALITY, laterality, TEXT)       /* (0020,0060), else (0020,0062) */
FIELD(63, TIMEZONE_OFFSET, timezone_offset, TEXT) /* (0008,0201) */
FIELD(64, SERIES_DATE, series_date, TEXT)
FIELD(65, SERIES_TIME, series_time, TEXT)
FIELD(66, INSTITUTION, institution, TEXT)
FIELD(67, STATION, station, TEXT)
FIELD(68, PROTOCOL, protocol, TEXT)
FIELD(69, VIEW_POSITION, view_position, TEXT)

/* 80-129: instance and its pixels (PS3.3 C.12.1, C.7.6) */
FIELD(80, SOP_UID, sop_uid, TEXT)
FIELD(81, SOP_CLASS, sop_class, TEXT)
FIELD(82, TRANSFER_SYNTAX, transfer_syntax, TEXT)
FIELD(83, INSTANCE_NUMBER, instance_number, TEXT)
FIELD(84, CHARACTER_SET, character_set, TEXT) /* (0008,0005) as sent */
FIELD(85, ROWS, rows, UINT)
FIELD(86, COLUMNS, columns, UINT)
FIELD(87, FRAMES, frames, UINT)
FIELD(88, SAMPLES_PER_PIXEL, samples_per_pixel, UINT)
FIELD(89, PHOTOMETRIC, photometric, TEXT)
FIELD(90, PLANAR_CONFIGURATION, planar_configuration, UINT)
FIELD(91, BITS_ALLOCATED, bits_allocated, UINT)
FIELD(92, BITS_STORED, bits_stored, UINT)
FIELD(93, HIGH_BIT, high_bit, UINT)
FIELD(94, PIXEL_REPRESENTATION, pixel_representation, UINT)
FIELD(95, WINDOW_CENTER, window_center, TEXT) /* DS, possibly several with \ */
FIELD(96, WINDOW_WIDTH, window_width, TEXT)
FIELD(97, RESCALE_INTERCEPT, rescale_intercept, TEXT)
FIELD(98, RESCALE_SLOPE, rescale_slope, TEXT)
FIELD(99, RESCALE_TYPE, rescale_type, TEXT)
FIELD(100, IMAGE_ORIENTATION, image_orientation, TEXT) /* (0020,0037) */
FIELD(101, IMAGE_POSITION, image_position, TEXT)       /* (0020,0032) */
FIELD(102, PATIENT_ORIENTATION, patient_orientation, TEXT) /* (0020,0020) */
FIELD(103, IMAGE_LATERALITY, image_laterality, TEXT)
FIELD(104, PIXEL_SPACING, pixel_spacing, TEXT)
FIELD(105, PIXEL_OFFSET, pixel_offset, UINT)  /* in the body: first byte of the Pixel Data value */
FIELD(106, PIXEL_LENGTH, pixel_length, UINT)  /* bytes of value; absent where undefined length */
FIELD(107, PIXEL_ENCAPSULATED, pixel_encapsulated, UINT) /* 1: fragments follow */
FIELD(108, ACQUISITION_DATE, acquisition_date, TEXT)
FIELD(109, ACQUISITION_TIME, acquisition_time, TEXT)
FIELD(110, CONTENT_DATE, content_date, TEXT)
FIELD(111, CONTENT_TIME, content_time, TEXT)
FIELD(112, SMALLEST_PIXEL, smallest_pixel, TEXT)
FIELD(113, LARGEST_PIXEL, largest_pixel, TEXT)
FIELD(114, VOI_LUT_FUNCTION, voi_lut_function, TEXT)
FIELD(115, LOSSY, lossy, TEXT)                /* (0028,2110) */
FIELD(116, IMAGE_TYPE, image_type, TEXT)
FIELD(117, PALETTE, palette, GROUP)           /* descriptors and data of (0028,1101..1203) */
FIELD(118, PIXEL_PADDING, pixel_padding, TEXT)
FIELD(119, SLICE_LOCATION, slice_location, TEXT)
FIELD(120, COMMAND_SOP_UID, command_sop_uid, TEXT)  /* as the C-STORE command named it */
FIELD(121, DOCUMENT_TITLE, document_title, TEXT)
FIELD(122, MIME_TYPE, mime_type, TEXT)
FIELD(123, BIG_ENDIAN, big_endian, UINT)
FIELD(124, CALLING_AE, calling_ae, TEXT)
FIELD(125, CALLED_AE, called_ae, TEXT)
/* inside PALETTE, once for red, green, blue, in that order; a palette beyond PALETTE_BYTES_MAX is left out */
FIELD(126, PALETTE_DESCRIPTOR, palette_descriptor, TEXT) /* entries\first value\bits, as (0028,1101) says */
FIELD(127, PALETTE_DATA, palette_data, BYTES) /* (0028,1201) …, words little endian */

/* 150-209: HL7 v2 */
FIELD(150, MESSAGE_TYPE, message_type, TEXT)  /* MSH-9.1 */
FIELD(151, TRIGGER, trigger, TEXT)            /* MSH-9.2 */
FIELD(152, CONTROL_ID, control_id, TEXT)      /* MSH-10 */
FIELD(153, VERSION, version, TEXT)            /* MSH-12.1 */
FIELD(154, SENDING_APPLICATION, sending_application, TEXT)
FIELD(155, SENDING_FACILITY, sending_facility, TEXT)
FIELD(156, MESSAGE_TIME, message_time, TEXT)  /* MSH-7 as sent */
FIELD(157, ACK_CODE, ack_code, TEXT)          /* what was answered: AA, AE, AR, CA, CE, CR, none */
FIELD(158, ERROR_LOCATION, error_location, TEXT) /* ERR-2: PID-3, OBX[2]-5 … */
FIELD(159, ERROR_CODE, error_code, TEXT)      /* ERR-3, table 0357 */
FIELD(160, REPORT, report, GROUP)             /* one OBR with what belongs to it */
FIELD(161, PLACER_ORDER, placer_order, TEXT)  /* OBR-2.1 */
FIELD(162, FILLER_ORDER, filler_order, TEXT)  /* OBR-3.1 */
FIELD(163, SERVICE_CODE, service_code, TEXT)  /* OBR-4.1 */
FIELD(164, SERVICE_TEXT, service_text, TEXT)  /* OBR-4.2 */
FIELD(165, SERVICE_SYSTEM, service_system, TEXT)
FIELD(166, COLLECTED, collected, TEXT)        /* OBR-7 as sent */
FIELD(167, REPORTED, reported, TEXT)          /* OBR-22 as sent */
FIELD(168, REPORT_STATUS, report_status, TEXT) /* OBR-25 */
FIELD(169, SPECIMEN, specimen, TEXT)
FIELD(170, ORDERING_PROVIDER, ordering_provider, TEXT)
FIELD(171, OBSERVATION, observation, GROUP)   /* one OBX, inside a report */
FIELD(172, SET_ID, set_id, TEXT)              /* OBX-1 */
FIELD(173, VALUE_TYPE, value_type, TEXT)      /* OBX-2 */
FIELD(174, CODE, code, TEXT)                  /* OBX-3.1 */
FIELD(175, CODE_TEXT, code_text, TEXT)        /* OBX-3.2 */
FIELD(176, CODE_SYSTEM, code_system, TEXT)    /* OBX-3.3 */
FIELD(177, SUB_ID, sub_id, TEXT)              /* OBX-4 */
FIELD(178, VALUE, value, TEXT)                /* OBX-5, unescaped, UTF-8; repetitions joined by \n */
FIELD(179, UNITS, units, TEXT)                /* OBX-6.1 */
FIELD(180, REFERENCE_RANGE, reference_range, TEXT) /* OBX-7 */
FIELD(181, ABNORMAL_FLAGS, abnormal_flags, TEXT)   /* OBX-8, repetitions joined by ~ */
FIELD(182, STATUS, status, TEXT)              /* OBX-11 */
FIELD(183, OBSERVED, observed, TEXT)          /* OBX-14 as sent */
FIELD(184, NOTE, note, TEXT)                  /* NTE-3 below the OBX, OBR or PID */
FIELD(185, DOCUMENT_OFFSET, document_offset, UINT) /* ED: where the encoded bytes lie in the body */
FIELD(186, DOCUMENT_LENGTH, document_length, UINT)
FIELD(187, DOCUMENT_ENCODING, document_encoding, TEXT) /* Base64, Hex, A */
FIELD(188, ENCOUNTER, encounter, GROUP)       /* PV1 */
FIELD(189, VISIT_NUMBER, visit_number, TEXT)  /* PV1-19 */
FIELD(190, PATIENT_CLASS, patient_class, TEXT) /* PV1-2 */
FIELD(191, LOCATION, location, TEXT)          /* PV1-3 */
FIELD(192, ADMITTED, admitted, TEXT)          /* PV1-44 */
FIELD(193, DISCHARGED, discharged, TEXT)      /* PV1-45 */
FIELD(194, EVENT_TIME, event_time, TEXT)      /* EVN-2 */
FIELD(195, ZONE, zone, TEXT)                  /* zone that applies where the time has none */
FIELD(196, REPORT_ID, report_id, UINT)
FIELD(197, OBSERVATION_ID, observation_id, UINT)
FIELD(198, PREVIOUS, previous, GROUP)         /* of an observation row: the value before it */
FIELD(199, REPLACED, replaced, GROUP)         /* of an observation row: an earlier version (P, F) of it */
FIELD(200, METHOD, method, TEXT)
FIELD(201, PRODUCER, producer, TEXT)

/* 250-299: people, sessions */
FIELD(250, USER, user, TEXT)
FIELD(251, DISPLAY_NAME, display_name, TEXT)
FIELD(252, PASSWORD, password, TEXT)          /* channel only, never in a record */
FIELD(253, PASSWORD_HASH, password_hash, TEXT) /* libsodium argon2id string */
FIELD(254, ROLE, role, TEXT)
FIELD(255, TOKEN, token, BYTES)               /* web session, channel only */
FIELD(256, ENROLMENT_CODE, enrolment_code, TEXT)
FIELD(257, TLS_KEY, tls_key, BYTES)           /* PEM */
FIELD(258, TLS_CERTIFICATE, tls_certificate, BYTES)
FIELD(259, LANGUAGE, language, TEXT)
FIELD(260, SESSION_NUMBER, session_number, UINT)

/* 300-349: calls between processes */
FIELD(300, RESULT, result, UINT)              /* enum error_code of the answer; 0: done */
FIELD(301, ERROR_TEXT, error_text, TEXT)
FIELD(302, QUERY, query, TEXT)                /* name of a find: docs/channel.md lists them */
FIELD(303, OFFSET, offset, UINT)
FIELD(304, LENGTH, length, UINT)
FIELD(305, LIMIT, limit, UINT)
FIELD(306, PROCESS, process, UINT)            /* enum process_kind */
FIELD(307, MAY_STORE, may_store, UINT)
FIELD(308, MAY_QUERY, may_query, UINT)
FIELD(309, MAY_RETRIEVE, may_retrieve, UINT)
FIELD(310, KEEP_UNSUPPORTED, keep_unsupported, UINT)
FIELD(311, TEXT_QUERY, text_query, TEXT)
FIELD(312, COUNT, count, UINT)
FIELD(313, LATEST, latest, UINT)
FIELD(314, AFTER, after, UINT)                /* continue behind this position or row */
FIELD(315, PROCESS_ID, process_id, UINT)
FIELD(316, FRAME, frame, UINT)
FIELD(317, DIGEST, digest, BYTES)
FIELD(318, PIXEL_DIGEST, pixel_digest, BYTES)
FIELD(319, NAME, name, TEXT)
FIELD(320, ROW, row, GROUP)
FIELD(321, TIMEZONE, timezone, TEXT)
FIELD(322, CERTAIN, certain, UINT)
FIELD(323, WIDTH, width, UINT)
FIELD(324, HEIGHT, height, UINT)
FIELD(325, DIRECTORY, directory, TEXT)        /* START of the vault: path of DIR, relative to its working directory */
FIELD(326, CONFIGURATION, configuration, TEXT) /* START of the vault: text of fanal.conf */
FIELD(327, CONNECTIONS_MAX, connections_max, UINT) /* START of a gate: peers at the same time */
FIELD(328, CONNECTIONS_PER_ADDRESS_MAX, connections_per_address_max, UINT)
FIELD(329, STATUS_TEXT, status_text, TEXT)    /* CRASH: "signal 11", "exit 1" */

/* 400-419: seals and repair */
FIELD(400, REPAIRED_SECTORS, repaired_sectors, UINT) /* of 512 bytes */
FIELD(401, SEALS_MADE, seals_made, UINT)
FIELD(402, LOST_SECTORS, lost_sectors, UINT)  /* that neither parity nor another copy gives */

/* 420-439: the disk; what a second walk found */
FIELD(420, SPACE_LEVEL, space_level, UINT)    /* enum space_level of an alarm: 0 fine, 1 30 days … 4 full */
FIELD(421, SPACE_STATE, space_state, TEXT)    /* "ok", "days-30", "days-15", "days-5", "full" */
FIELD(422, DAYS_LEFT, days_left, UINT)        /* until the reserve is reached, at the measured rate */
FIELD(423, BYTES_PER_DAY, bytes_per_day, UINT)
FIELD(424, RESERVE_BYTES, reserve_bytes, UINT)
FIELD(425, TOTAL_BYTES, total_bytes, UINT)    /* of the file system */
FIELD(426, SINCE, since, UINT)                /* µs: the first of several that are counted */
FIELD(427, DIFFERENCE, difference, TEXT)      /* name of a field of which a gate said otherwise than the bytes do */
FIELD(428, CHECKED, checked, UINT)            /* objects below this position were walked again */
FIELD(429, REPEATS, repeats, UINT)            /* how often the same bytes came again that were refused */

/* 440-459: evidence packs (docs/evidence.md) */
FIELD(440, EVIDENCE, evidence, TEXT)          /* what is asked: study, result, object, access, period */
FIELD(441, FORM, form, TEXT)                  /* keys, hashes; of a GET: stored-entry, stored-body */
FIELD(442, PERIOD_FROM, period_from, UINT)    /* of a period: time, microseconds since 1970 */
FIELD(443, PERIOD_UNTIL, period_until, UINT)
FIELD(444, FROM_POSITION, from_position, UINT)
FIELD(445, UNTIL_POSITION, until_position, UINT) /* the one behind the last */
FIELD(446, SHAPE, shape, UINT)                /* 1 shown, 2 sealed, 3 hash */
FIELD(447, RECORD_KEY, record_key, BYTES)     /* opens one record; leaves the vault for a pack only */
FIELD(448, LEAF, leaf, BYTES)                 /* of a record shown by its hash */
FIELD(449, INCLUSION, inclusion, BYTES)       /* hashes of an inclusion proof, 32 bytes each */
FIELD(450, RECORD_KIND, record_kind, UINT)    /* enum record_kind */

/* 460-479: anchors (docs/anchors.md) */
FIELD(460, SIGNED_NOTE, signed_note, TEXT)    /* a checkpoint as a C2SP signed note */
FIELD(461, COSIGNATURE, cosignature, TEXT)    /* signature lines of a witness */
FIELD(462, STAMP_TOKEN, stamp_token, BYTES)   /* RFC 3161 TimeStampToken, DER */
FIELD(463, ANCHOR, anchor, GROUP)             /* START of the vault and the relay: one [witness X] or [timestamp X] */
FIELD(464, URL, url, TEXT)
FIELD(465, CA, ca, BYTES)                     /* trust anchors, PEM */
FIELD(466, TREE_SIZE, tree_size, UINT)
FIELD(467, TREE_ROOT, tree_root, BYTES)
FIELD(468, OLD_SIZE, old_size, UINT)
FIELD(469, CONSISTENCY, consistency, BYTES)   /* hashes of a consistency proof, 32 bytes each */
FIELD(470, HTTP_STATUS, http_status, UINT)
FIELD(471, HTTP_BODY, http_body, BYTES)
FIELD(472, CONTENT_TYPE, content_type, TEXT)
FIELD(473, VKEY, vkey, TEXT)                  /* C2SP verifier key */
FIELD(474, WITNESSED, witnessed, GROUP)       /* {origin, tree_size, tree_root}: what was last cosigned of a log */
FIELD(475, ORIGIN, origin, TEXT)
FIELD(476, STAMPED, stamped, UINT)            /* time a witness or a TSA gives, microseconds since 1970 */
FIELD(477, EVERY_S, every_s, UINT)            /* seconds */
FIELD(478, RULE_BEFORE, rule_before, UINT)    /* position of the newest rule before it that is no log-witnessed, + 1 */
FIELD(479, AGE_S, age_s, UINT)                /* seconds since an anchor's last success; absent where there was none */
/* 480-499: twins (docs/twin.md) */
FIELD(480, TWIN, twin, TEXT)                  /* name of a twin; on a twin: address of its first */
FIELD(481, TWIN_PART, twin_part, UINT)        /* what FOLLOW_READ reads */
FIELD(482, LOG_SEGMENT, log_segment, UINT)
FIELD(483, FILE_NUMBER, file_number, UINT)    /* of a body file */
FIELD(484, MONTH, month, UINT)                /* yyyymm of a body file */
FIELD(485, TWIN_SILENT, twin_silent, UINT)    /* seconds since the first was heard of: longer than [follow] alarm */
FIELD(486, TWIN_APPLIED, twin_applied, UINT)  /* tombstones below this position are applied there */
FIELD(487, TWIN_SIZE, twin_size, UINT)        /* all records committed on the first */
FIELD(488, CHECKPOINT, checkpoint, TEXT)      /* C2SP signed note */
FIELD(489, PUBLIC_KEY, public_key, BYTES)     /* Ed25519, of checkpoints */
FIELD(490, KEYRING_SLOTS, keyring_slots, UINT)
FIELD(491, VAULT_ID, vault_id, BYTES)
FIELD(492, WRITTEN, written, UINT)            /* time of a marker, microseconds since 1970 */
FIELD(493, NOW, now, UINT)                    /* the first's clock, microseconds since 1970 */
FIELD(494, CERTIFICATE, certificate, TEXT)    /* SHA-256 of a certificate, hex */
FIELD(495, TWIN_SECONDS, twin_seconds, UINT)  /* since the twin last had everything */
FIELD(496, TWIN_REFUSED, twin_refused, TEXT)  /* why the twin takes nothing more from its first */
FIELD(497, TWIN_POSITION, twin_position, UINT) /* records the twin has */
FIELD(498, TLS_PEM, tls_pem, BYTES)           /* START of pull: its key and certificate */
FIELD(499, TWIN_VERB, twin_verb, UINT)        /* FETCH: which question */

/* 500-519: who opens the vault (docs/channel.md, "Keys") */
FIELD(500, KEY_DEED, key_deed, TEXT)          /* list, add, remove, rotate, back-up */
FIELD(501, UNLOCKER, unlocker, GROUP)         /* {unlocker_number, unlocker_kind, threshold, shares, added, added_us} */
FIELD(502, UNLOCKER_NUMBER, unlocker_number, UINT) /* from 1 */
FIELD(503, UNLOCKER_KIND, unlocker_kind, TEXT)
FIELD(504, THRESHOLD, threshold, UINT)        /* custodians: k of n */
FIELD(505, SHARES, shares, UINT)              /* n */
FIELD(506, SHARES_GIVEN, shares_given, UINT)
FIELD(507, GENERATION, generation, UINT)      /* of the keyring's header */
FIELD(508, MASTER_GENERATION, master_generation, UINT) /* the generation that made the master key */
FIELD(509, ADDED, added, UINT)                /* the generation that added an unlocker */
FIELD(510, ADDED_US, added_us, UINT)          /* microseconds since 1970 */
FIELD(511, BACKUP_ID, backup_id, BYTES)       /* of a back-up of keyring and configuration */
FIELD(512, EXPIRES, expires, UINT)            /* microseconds since 1970; 0: never */
FIELD(513, MADE, made, UINT)                  /* the same */
FIELD(514, KEYRING_SLOT_COUNT, keyring_slot_count, UINT)

/* 520-559: accounts, retention, erasure */
FIELD(520, ACTING_USER, acting_user, TEXT)    /* who signs a change, where it is not the session */
FIELD(521, ACTING_PASSWORD, acting_password, TEXT) /* channel only, never in a record */
FIELD(522, REQUEST, request, UINT)            /* position of the record that asked */
FIELD(523, UNTIL, until, UINT)                /* wall_us after which a request is worth nothing */
FIELD(524, ERASURE_UNIT, erasure_unit, GROUP) /* {slot, unit_tag, count, first_position, other_count} */
FIELD(525, SLOT, slot, UINT)                  /* of the keyring */
FIELD(526, UNIT_TAG, unit_tag, BYTES)         /* HMAC of a unit's name: says nothing without the keys */
FIELD(527, OTHER_COUNT, other_count, UINT)    /* records that share a unit and were not meant */
FIELD(528, HOLD, hold, UINT)                  /* position of the record that set it */
FIELD(529, MONTHS, months, UINT)              /* how long a kind is kept; 0: always */
FIELD(530, PATIENT_TAG, patient_tag, BYTES)   /* HMAC of issuer and identifier */
FIELD(531, APPROVED_BY, approved_by, TEXT)    /* the second person */
FIELD(532, PENDING, pending, TEXT)            /* copies that have not applied an erasure yet */
FIELD(533, CLASS, class, TEXT)                /* what a rule of retention is about: "images", "results", "events", "recordings" */
FIELD(534, ASKED_MONTHS, asked_months, UINT)  /* what a rule would be once somebody else approves it */
FIELD(535, FILES, files, UINT)                /* body files that were removed */
FIELD(536, RECORDS, records, UINT)            /* in the units of a plan */
FIELD(537, OLDEST, oldest, UINT)              /* µs: when its oldest record was received … */
FIELD(538, NEWEST, newest, UINT)              /* … and its newest */
FIELD(539, LEFT_OUT, left_out, UINT)          /* units on hold, or past ERASURE_UNITS_MAX */

/* 560-579: damage (docs/log-events.md, "scrub.damaged") */
FIELD(560, FILE, file, TEXT)                  /* of the vault, below its directory; or one slot of the keyring */

/* 580-589: twins, behind 480-499 */
FIELD(580, TWIN_MISSING, twin_missing, UINT)  /* bodies that its first did not have any more when the twin took their records */
