variable "ae_title" {
  description = "Our application entity title: 1 to 16 characters (PS3.5 Table 6.2-1, AE)."
  type        = string
  default     = "RADLOOP"

  validation {
    condition     = can(regex("^[!-\\[\\]-~][ -\\[\\]-~]{0,15}$", var.ae_title))
    error_message = "ae_title: expected 1 to 16 printable characters without a backslash."
  }
}

variable "completeness" {
  description = "When a study counts as whole: seconds of silence, with and without evidence."
  type = object({
    settle_seconds = optional(number, 0.5)
    quiet_seconds  = optional(number, 30)
  })
  default = {}

  validation {
    condition     = var.completeness.settle_seconds > 0 && var.completeness.quiet_seconds >= var.completeness.settle_seconds
    error_message = "completeness: expected 0 < settle_seconds <= quiet_seconds."
  }
}

variable "gateway_processes" {
  description = "Gateway processes that share the DICOM port."
  type        = number
  default     = 1

  validation {
    condition     = var.gateway_processes >= 1 && var.gateway_processes <= 16 && floor(var.gateway_processes) == var.gateway_processes
    error_message = "gateway_processes: expected a whole number from 1 to 16."
  }
}

variable "group" {
  description = "System group that the processes run as."
  type        = string
  default     = "radloop"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_-]{0,30}$", var.group))
    error_message = "group: expected the name of a system group."
  }
}

variable "home" {
  description = "Folder that holds everything (RADLOOP_HOME)."
  type        = string
  default     = "/var/lib/radloop"

  validation {
    condition     = can(regex("^/[A-Za-z0-9._/-]+$", var.home)) && !can(regex("^/(home|root|run/user)(/|$)|/\\.\\.(/|$)", var.home))
    error_message = "home: expected an absolute path outside /home, /root and /run/user, which the units may not see."
  }
}

variable "install_path" {
  description = "Virtual environment that holds bin/radloop."
  type        = string
  default     = "/opt/radloop/.venv"

  validation {
    condition     = can(regex("^/[A-Za-z0-9._/-]+$", var.install_path))
    error_message = "install_path: expected an absolute path."
  }
}

variable "ledger_url" {
  description = "SQLAlchemy URL of the ledger, without a password (use ~/.pgpass); null for SQLite under the home."
  type        = string
  default     = null

  validation {
    condition     = var.ledger_url == null || can(regex("^(sqlite:///.+|postgresql\\+psycopg://([^:@/]+@)?[^:@/]+(:[0-9]+)?/[^:@]+)$", var.ledger_url))
    error_message = "ledger_url: expected sqlite:///... or postgresql+psycopg://... without a password: it would stand in the state."
  }
}

variable "listen_address" {
  description = "Address that the DICOM and HL7 listeners bind to."
  type        = string
  default     = "127.0.0.1"

  validation {
    condition     = can(cidrhost("${var.listen_address}/32", 0)) || can(cidrhost("${var.listen_address}/128", 0))
    error_message = "listen_address: expected an IP address."
  }
}

variable "memory_max" {
  description = "Memory that all processes together may take, as systemd writes it."
  type        = string
  default     = "6G"

  validation {
    condition     = can(regex("^[1-9][0-9]*[MGT]$", var.memory_max))
    error_message = "memory_max: expected a size such as 6G."
  }
}

variable "peers" {
  description = "The systems we talk to, by name. Who is not named is refused."
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
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.peers) : can(regex("^[a-z][a-z0-9_-]{0,31}$", name))])
    error_message = "peers: expected names of lower-case letters, digits, - and _."
  }

  validation {
    condition = alltrue(flatten([
      for peer in values(var.peers) : [for role in peer.roles : contains(["source", "results", "reports", "orders"], role)]
    ]))
    error_message = "peers: expected roles among source, results, reports and orders."
  }

  validation {
    condition = alltrue(flatten([
      for peer in values(var.peers) : [
        for qualification in coalesce(peer.qualifications, ["PRODUCT"]) : contains(["RESEARCH", "PRODUCT"], qualification)
      ]
    ]))
    error_message = "peers: expected qualifications among RESEARCH and PRODUCT."
  }

  validation {
    condition = alltrue([
      for peer in values(var.peers) :
      !contains(peer.roles, "results") || (peer.ae_title != null && peer.host != null && peer.port != null)
    ])
    error_message = "peers: a peer that gets results needs ae_title, host and port."
  }

  validation {
    condition = alltrue([
      for peer in values(var.peers) : !contains(peer.roles, "source") || (peer.ae_title != null && peer.host != null)
    ])
    error_message = "peers: a peer that sends to us needs ae_title and host."
  }

  validation {
    condition = alltrue([
      for peer in values(var.peers) : !contains(peer.roles, "reports") || peer.mllp != null || peer.fhir != null
    ])
    error_message = "peers: a peer that gets reports needs mllp or fhir."
  }

  validation {
    condition     = alltrue([for peer in values(var.peers) : !contains(peer.roles, "orders") || peer.mllp != null])
    error_message = "peers: a peer that sends orders needs mllp."
  }

  validation {
    condition     = alltrue([for peer in values(var.peers) : try(peer.port >= 1 && peer.port <= 65535, peer.port == null)])
    error_message = "peers: expected ports from 1 to 65535."
  }
}

variable "ports" {
  description = "The port of every process on this machine. DICOM and HL7 listen on listen_address, the others on loopback."
  type = object({
    dicom     = optional(number, 11112)
    hl7       = optional(number, 2575)
    inference = optional(number, 3611)
    prefect   = optional(number, 4200)
    mlflow    = optional(number, 5000)
    console   = optional(number, 8480)
  })
  default = {}

  validation {
    condition     = alltrue([for port in values(var.ports) : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "ports: expected whole numbers from 1 to 65535."
  }
}

variable "region" {
  description = "IANA name of the site's region, which is its time zone."
  type        = string
  default     = "UTC"

  validation {
    condition     = can(regex("^(UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_+-]+){1,2})$", var.region))
    error_message = "region: expected an IANA name such as Europe/Zurich, or UTC."
  }
}

variable "routes" {
  description = "Which models read which studies; a list of patterns per key of `when`."
  type = list(object({
    models = list(string)
    when = optional(object({
      modality    = optional(list(string))
      body_part   = optional(list(string))
      view        = optional(list(string))
      description = optional(list(string))
      station     = optional(list(string))
      peer        = optional(list(string))
    }), {})
  }))
  default = [
    { models = ["cxr_pneumonia"], when = { modality = ["CR", "DX"], body_part = ["CHEST", ""] } },
    { models = ["brain_mr_tumour"], when = { modality = ["MR"], body_part = ["BRAIN", "HEAD", ""] } },
  ]

  validation {
    condition     = alltrue([for route in var.routes : length(route.models) > 0])
    error_message = "routes: expected at least one model in every route."
  }
}

variable "site_name" {
  description = "Institution, as objects name it."
  type        = string

  validation {
    condition     = length(var.site_name) >= 1 && length(var.site_name) <= 64
    error_message = "site_name: expected 1 to 64 characters."
  }
}

variable "storage_path" {
  description = "Folder of the encrypted store, on a disk of its own where there is one; null for the home."
  type        = string
  default     = null

  validation {
    condition     = var.storage_path == null || (can(regex("^/[A-Za-z0-9._/-]+$", var.storage_path)) && !can(regex("^/(home|root|run/user)(/|$)|/\\.\\.(/|$)", var.storage_path)))
    error_message = "storage_path: expected an absolute path outside /home, /root and /run/user, which the units may not see."
  }
}

variable "uid_root" {
  description = "Root of the UIDs of our objects: the site's own, or 2.25, which needs no registration."
  type        = string
  default     = "2.25"

  validation {
    condition     = can(regex("^[0-2](\\.(0|[1-9][0-9]*))+$", var.uid_root)) && length(var.uid_root) <= 43
    error_message = "uid_root: expected a UID root of at most 43 characters."
  }
}

variable "user" {
  description = "System user that the processes run as."
  type        = string
  default     = "radloop"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_-]{0,30}$", var.user)) && var.user != "root"
    error_message = "user: expected the name of a system user other than root."
  }
}
