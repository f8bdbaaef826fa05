site_name      = "Example Hospital"
region         = "Europe/Zurich"
listen_address = "0.0.0.0"
storage_path   = "/srv/radloop/store"

peers = {
  pacs = {
    roles    = ["source", "results"]
    ae_title = "ORTHANC"
    host     = "10.0.0.10"
    port     = 4242
  }
  ris = {
    roles            = ["reports", "orders"]
    mllp             = "10.0.0.11:2576"
    priority_upgrade = "ORM"
  }
  ehr = {
    roles = ["reports"]
    fhir  = "http://10.0.0.12:8090/fhir"
  }
}
