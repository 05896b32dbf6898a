/*
 * What the web gate answers (docs/web-api.md). Names are those of record/field_list.h; every field but
 * the keys may be absent, because every field is what a sender chose to send.
 */

export interface Start {
  enrolled: boolean;
  signed_in: boolean;
  user?: string;
  display_name?: string;
  role?: string; /* "physician", "admin" */
  version?: string;
  time: number; /* the server's clock, µs since 1970 */
}

export interface SignedIn {
  display_name: string;
  role: string;
}

/* What the page reads of /api/status. */
export interface Status {
  space_state?: string; /* "ok", "days-30", "days-15", "days-5", "full" */
  days_left?: number;
  bytes_per_day?: number;
  twin?: string; /* of a twin: its first machine */
  twin_seconds?: number; /* since it last had everything */
  twin_silent?: number; /* seconds since its first was heard of, past the alarm */
  twin_refused?: string; /* why it takes nothing more */
}

export interface Source {
  source: string;
  kind?: string; /* "dicom" or "hl7" */
  latest?: number;
  count?: number;
}

export interface OtherId {
  patient_id?: string;
  issuer?: string;
  id_type?: string;
}

export interface Encounter {
  visit_number?: string;
  patient_class?: string;
  location?: string;
  admitted?: string;
  discharged?: string;
}

export interface Patient {
  patient_key: string;
  patient_id?: string; /* absent or empty: a provisional patient */
  issuer?: string;
  patient_name?: string;
  birth_date?: string;
  sex?: string;
  discrepancy?: string[];
  count?: number; /* studies */
  latest?: number;
  other_id?: OtherId[];
  encounter?: Encounter[];
}

export interface Study {
  study_uid: string;
  study_date?: string;
  study_time?: string;
  study_description?: string;
  modality?: string[];
  accession?: string;
  referring_physician?: string;
  count?: number;
  received?: number;
  latest?: number;
  institution?: string;
  discrepancy?: string[];
  state?: string;
}

export interface Report {
  report_id: number;
  service_code?: string;
  service_text?: string;
  placer_order?: string;
  filler_order?: string;
  report_status?: string;
  collected?: string;
  reported?: string;
  received?: number;
  specimen?: string;
  note?: string[];
  source?: string;
  position: number;
}

export interface PatientPage extends Patient {
  studies: Study[];
  reports: Report[];
}

export interface Version {
  value?: string;
  units?: string;
  status?: string;
  observed?: string;
  received?: number;
  abnormal_flags?: string;
}

export interface Observation extends Version {
  observation_id: number;
  report_id?: number;
  code?: string;
  code_text?: string;
  code_system?: string;
  sub_id?: string;
  value_type?: string;
  reference_range?: string;
  collected?: string;
  zone?: string;
  note?: string | string[];
  service_text?: string;
  source?: string;
  position: number;
  previous?: Version;
  replaced?: Version[];
  mime_type?: string;
  document_title?: string;
  document_offset?: number;
  document_length?: number;
}

export interface Series {
  series_uid: string;
  modality?: string;
  series_number?: string;
  series_description?: string;
  body_part?: string;
  laterality?: string;
  count?: number;
  latest?: number;
  position?: number; /* of the middle instance */
  rows?: number;
  columns?: number;
}

export interface Instance {
  position: number;
  state?: string;
  received?: number;
  sop_uid?: string;
  sop_class?: string;
  transfer_syntax?: string;
  instance_number?: string;
  rows?: number;
  columns?: number;
  frames?: number;
  samples_per_pixel?: number;
  photometric?: string;
  bits_allocated?: number;
  bits_stored?: number;
  high_bit?: number;
  pixel_representation?: number;
  window_center?: string;
  window_width?: string;
  voi_lut_function?: string;
  rescale_intercept?: string;
  rescale_slope?: string;
  rescale_type?: string;
  image_orientation?: string;
  image_position?: string;
  patient_orientation?: string;
  image_laterality?: string;
  pixel_spacing?: string;
  slice_location?: string;
  pixel_padding?: string;
  acquisition_date?: string;
  acquisition_time?: string;
  content_date?: string;
  content_time?: string;
  lossy?: string;
  document_title?: string;
  mime_type?: string;
}

export interface Attention {
  position: number;
  kind?: string;
  state?: string;
  reason?: string;
  patient_id?: string;
  issuer?: string;
  patient_name?: string;
  received?: number;
  source?: string;
  transfer_syntax?: string;
  message_type?: string;
  trigger?: string;
  ack_code?: string;
  difference?: string; /* names of fields, with spaces between */
  file?: string; /* kind "file": damaged or repaired, of the vault */
  since?: number; /* when the damage was found */
  detail?: string;
}

export interface News {
  position?: number;
  kind?: string;
  patient_key?: string;
  study_uid?: string;
  series_uid?: string;
  count?: number; /* so many were dropped: read everything again */
}
