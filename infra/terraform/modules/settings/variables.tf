# The site validates these; here they are only typed.

variable "ae_title" {
  description = "Our application entity title."
  type        = string
}

variable "completeness" {
  description = "When a study counts as whole."
  type = object({
    settle_seconds = number
    quiet_seconds  = number
  })
}

variable "gateway_processes" {
  description = "Gateway processes that share the DICOM port."
  type        = number
}

variable "ledger_url" {
  description = "SQLAlchemy URL of the ledger; null for SQLite under the home."
  type        = string
  nullable    = true
}

variable "listen_address" {
  description = "Address that the DICOM and HL7 listeners bind to."
  type        = string
}

variable "peers" {
  description = "The systems we talk to, by name."
  type = map(object({
    roles            = list(string)
    qualifications   = optional(list(string))
    ae_title         = optional(string)
    host             = optional(string)
    port             = optional(number)
    addresses        = optional(list(string))
    mllp             = optional(string)
    hl7_from         = optional(string)
    fhir             = optional(string)
    token_file       = optional(string)
    priority_upgrade = optional(string)
    commitment       = optional(bool)
  }))
}

variable "ports" {
  description = "The port of every process."
  type = object({
    dicom     = number
    hl7       = number
    inference = number
    prefect   = number
    mlflow    = number
    console   = number
  })
}

variable "region" {
  description = "IANA name of the site's region and time zone."
  type        = string
}

variable "routes" {
  description = "Which models read which studies."
  type = list(object({
    models = list(string)
    when = object({
      modality    = optional(list(string))
      body_part   = optional(list(string))
      view        = optional(list(string))
      description = optional(list(string))
      station     = optional(list(string))
      peer        = optional(list(string))
    })
  }))
}

variable "site_name" {
  description = "Institution, as objects name it."
  type        = string
}

variable "store_path" {
  description = "Folder of the encrypted store."
  type        = string
}

variable "uid_root" {
  description = "Root of the UIDs of our objects."
  type        = string
}
