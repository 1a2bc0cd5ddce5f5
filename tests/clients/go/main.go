// Looks a picture up and prints the banks of its matches as JSON:
//
//	DISRUPT_TOKEN=… client ADDRESS FILE
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	disruptv1 "disrupt.example/disrupt/v1"
)

func main() {
	image, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+os.Getenv("DISRUPT_TOKEN"))
	answer, err := disruptv1.NewMatchServiceClient(connection).MatchImage(ctx, &disruptv1.MatchImageRequest{Image: image})
	if err != nil {
		log.Fatal(err)
	}
	banks := []string{}
	for _, match := range answer.Matches {
		banks = append(banks, match.Bank)
	}
	if err := json.NewEncoder(os.Stdout).Encode(banks); err != nil {
		log.Fatal(err)
	}
}
