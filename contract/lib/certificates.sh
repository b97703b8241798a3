# The articles' `create_test_cert.js` in openssl: the same commands, the same file names.
# A name such as dps-test-root gives dpsTestRoot_cert.pem, dpsTestRoot_key.pem, dpsTestRoot_fullchain.pem.
# Sourced by the scripts that show certificates.

camel() { sed 's/[-_]\([a-z0-9]\)/\U\1/g' <<<"$1"; }

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# sign NAME PARENT EXTENSIONS: a certificate for CN=NAME by PARENT.
sign() {
  local own parent
  own=$(camel "$1")
  parent=$(camel "$2")
  new_key "${own}_key.pem"
  openssl req -new -key "${own}_key.pem" -subj "/CN=$1" -out "$own.csr"
  openssl x509 -req -in "$own.csr" -CA "${parent}_cert.pem" -CAkey "${parent}_key.pem" \
    -set_serial "0x$(openssl rand -hex 8)" -days 30 -sha256 -extfile <(printf '%s\n' "$3") \
    -out "${own}_cert.pem" 2>/dev/null
  cat "${own}_cert.pem" "${parent}_fullchain.pem" >"${own}_fullchain.pem"
}

# create_test_cert root NAME | intermediate NAME PARENT | device NAME PARENT
# create_test_cert verification --ca FILE --key FILE --nonce CODE
create_test_cert() {
  local own
  case $1 in
  root)
    own=$(camel "$2")
    new_key "${own}_key.pem"
    openssl req -x509 -new -key "${own}_key.pem" -subj "/CN=$2" -days 30 -sha256 \
      -addext 'keyUsage=critical,keyCertSign,cRLSign' -out "${own}_cert.pem"
    cp "${own}_cert.pem" "${own}_fullchain.pem"
    ;;
  intermediate)
    sign "$2" "$3" $'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign'
    ;;
  device)
    sign "$2" "$3" $'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth'
    ;;
  verification)
    new_key verification_key.pem
    openssl req -new -key verification_key.pem -subj "/CN=$7" -out verification.csr
    openssl x509 -req -in verification.csr -CA "$3" -CAkey "$5" \
      -set_serial "0x$(openssl rand -hex 8)" -days 3 -sha256 -out verification_cert.pem 2>/dev/null
    ;;
  *) fail "create_test_cert: $1" ;;
  esac
}
