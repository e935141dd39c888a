package export

// currencyNumbers are ISO 4217 numbers of currencies that tariffs are written
// in.
var currencyNumbers = map[string]int{
	"AED": 784, "ARS": 32, "AUD": 36, "BAM": 977, "BGN": 975, "BRL": 986, "CAD": 124, "CHF": 756, "CLP": 152, "CNY": 156,
	"COP": 170, "CZK": 203, "DKK": 208, "EUR": 978, "GBP": 826, "HKD": 344, "HUF": 348, "IDR": 360, "ILS": 376, "INR": 356,
	"ISK": 352, "JPY": 392, "KRW": 410, "MAD": 504, "MXN": 484, "MYR": 458, "NGN": 566, "NOK": 578, "NZD": 554, "PEN": 604,
	"PHP": 608, "PLN": 985, "RON": 946, "RSD": 941, "SAR": 682, "SEK": 752, "SGD": 702, "THB": 764, "TRY": 949, "TWD": 901,
	"UAH": 980, "USD": 840, "VND": 704, "ZAR": 710,
}
